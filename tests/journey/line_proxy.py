"""Proxies that hurt what goes between a machine and its vault, once, where they are told to.

Proxy sees the connection as any computer on the way does: bytes of TLS.  HttpProxy holds the vault's own TLS key, as a
server in front of it would, and hurts the requests and answers themselves.  Each does what .fault says to the first that
it fits, and then nothing more until it is given another.  LateProxy hurts nothing: everything comes later.

    line_proxy.py late ADDRESS PORT UPSTREAM MS     a LateProxy, until it is killed
"""
import ctypes
import os
import queue
import re
import socket
import ssl
import sys
import threading
import time

from line_between import certificate

LIBC = ctypes.CDLL(None)
pause = threading.Event().wait      # a delay that is itself what is done to the line


def reset(s):
    """At once, whoever still reads from it: to close it would wait for them."""
    try:
        LIBC.connect(s.fileno(), bytes(16), 16)      # AF_UNSPEC: the connection is dropped
        s.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def shut(*sockets):
    for s in sockets:
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Listener:
    def __init__(self, upstream, fault=None, at=("127.0.0.1", 0)):
        self.upstream, self.fault = upstream, fault
        self.lock = threading.Lock()
        self.listening = socket.create_server(at, backlog=64)
        self.port = self.listening.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listening.accept()
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.begin, args=(client,), daemon=True).start()

    def connect(self):
        s = socket.create_connection(("127.0.0.1", self.upstream()), timeout=60)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s


# --- bytes of TLS

class Fault:
    """What is done to one connection: to the bytes that come from the client (0) or from the server (1)."""
    KINDS = ["refuse", "reset", "cut", "cut and reset", "slow", "one by one", "stall and cut", "twice", "changed", "lost"]

    def __init__(self, r):
        self.kind = r.choice(self.KINDS)
        self.side = r.randrange(2)
        # Most of what is said is short; what is long is hurt anywhere in it.
        self.at = r.choice([r.randrange(1, 400), r.randrange(400, 3000), r.randrange(3000, 300000)])
        self.done = False

    def __str__(self):
        return "%s at byte %d of what the %s sends" % (self.kind, self.at, "server" if self.side else "client")


class Proxy(Listener):
    def begin(self, client):
        with self.lock:
            fault, self.fault = self.fault, None
        if fault is not None and fault.kind in ("refuse", "reset"):
            fault.done = True
            if fault.kind == "reset":
                reset(client)
            else:
                client.close()
            return
        try:
            server = self.connect()
        except OSError:
            client.close()
            return
        both = (client, server)
        other = threading.Thread(target=self.pump, args=(both, 1, fault), daemon=True)
        other.start()
        self.pump(both, 0, fault)
        other.join()
        client.close()
        server.close()

    def pump(self, both, side, fault):
        source, sink = both[side], both[1 - side]
        passed = 0
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                if fault is not None and fault.side == side and not fault.done and passed + len(data) > fault.at:
                    self.hurt(both, side, fault, data, fault.at - passed)
                else:
                    sink.sendall(data)
                passed += len(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            shut(*both)

    def hurt(self, both, side, fault, data, at):
        sink = both[1 - side]
        fault.done = True
        if fault.kind in ("cut", "cut and reset", "stall and cut", "lost"):
            if fault.kind != "lost":
                sink.sendall(data[:at])
            if fault.kind == "stall and cut":
                pause(0.3)
            if fault.kind == "cut and reset":
                reset(both[0])
            raise OSError("cut")
        if fault.kind == "slow":
            for i in range(0, len(data), 4096):
                sink.sendall(data[i:i + 4096])
                pause(0.002)
        elif fault.kind == "one by one":
            for i in range(min(len(data), 1500)):
                sink.sendall(data[i:i + 1])
            sink.sendall(data[1500:])
        elif fault.kind == "twice":
            sink.sendall(data)
            sink.sendall(data)
        else:
            data = bytearray(data)
            data[at] ^= 1
            sink.sendall(bytes(data))


class LateProxy(Proxy):
    """Each byte comes ${seconds} later than it would, and no slower: much is on its way at once."""
    def __init__(self, seconds, upstream, at):
        self.seconds = seconds
        super().__init__(upstream, at=at)

    def connect(self):
        s = super().connect()
        s.settimeout(None)
        return s

    def pump(self, both, side, fault):
        on_its_way = queue.Queue(4096)
        writer = threading.Thread(target=self.deliver, args=(both, side, on_its_way), daemon=True)
        writer.start()
        data = b"-"
        while data:
            try:
                data = both[side].recv(65536)
            except OSError:
                data = b""
            on_its_way.put((time.monotonic() + self.seconds, data))
        writer.join()

    @staticmethod
    def deliver(both, side, on_its_way):
        data = b"-"
        while data:
            due, data = on_its_way.get()
            pause(max(0, due - time.monotonic()))
            try:
                if data:
                    both[1 - side].sendall(data)
                else:
                    both[1 - side].shutdown(socket.SHUT_WR)
            except OSError:
                shut(both[side])    # nobody is there to take the rest


# --- requests and answers

PAGE = b"<html><head><title>%d</title></head><body><center><h1>The backend is away</h1></center></body></html>\r\n"
REASONS = {500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 507: "Insufficient Storage"}


def foreign(status, wait=None, code=None):
    """An answer that the vault did not give: a page as other servers make it, or a problem with a code of the vault's."""
    kind, body = "text/html; charset=utf-8", PAGE % status
    if code is not None:
        kind = "application/problem+json"
        body = ('{"type":"about:blank","title":"no","status":%d,"code":"%s","detail":"not now"}' % (status, code)).encode()
    head = "HTTP/1.1 %d %s\r\nServer: nginx\r\nContent-Type: %s\r\nContent-Length: %d\r\n" % (status, REASONS[status], kind, len(body))
    if wait is not None:
        head += "Retry-After: %d\r\n" % wait
    return head.encode() + b"\r\n" + body


class HttpFault:
    """What is done to the request of this number (0), or to the answer to it (1)."""
    MESSAGE = ["length too large", "length too small", "chunked and cut", "cut", "cut and reset", "delay", "one by one",
               "stall and cut", "twice"]
    STATUS = [(500, None, None), (500, 1, "S-1006"), (502, None, None), (502, 1, None), (503, None, None), (503, 1, None),
              (503, 1, "S-1104"), (503, 1, "S-1008"), (507, None, None), (507, 1, None), (507, None, "S-1706")]

    def __init__(self, r):
        self.side = r.randrange(2)
        self.number = r.choice([1, r.randrange(1, 6), r.randrange(1, 12)])
        self.done = False
        self.status = None
        # Half of an answer by somebody else hides that the vault did what it was asked.
        if r.random() < 0.35:
            self.status, self.heard = r.choice(self.STATUS), r.random() < 0.5
            self.kind = "%d%s%s" % (self.status[0], " with Retry-After" if self.status[1] else "",
                                    " as a problem" if self.status[2] else " as a page")
        else:
            self.kind = r.choice(self.MESSAGE)
        self.share = r.random()

    def __str__(self):
        if self.status is not None:
            return "%s in place of answer %d%s" % (self.kind, self.number, ", which was heard" if self.heard else "")
        return "%s, %s %d" % (self.kind, "answer" if self.side else "request", self.number)


class Message:
    """The head and the body of a request or an answer."""

    def __init__(self, head, body):
        self.head, self.body = head, body

    def bytes(self):
        return self.head + self.body

    def length(self, n):
        """The same with another word for its length (None: none), which has a line for it in any case."""
        head = re.sub(rb"(?i)\r\nContent-Length:[^\r]*", b"", self.head)
        return head if n is None else head[:-2] + b"Content-Length: %d\r\n\r\n" % n


class Cut(OSError):
    pass


class HttpProxy(Listener):
    def __init__(self, upstream, key_pem, directory, fault=None):
        path = os.path.join(directory, "between.pem")
        with open(path, "w", encoding="ascii") as f:
            f.write(certificate(key_pem) + key_pem)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(path)
        self.any = ssl._create_unverified_context()
        self.seen = 0
        super().__init__(upstream, fault)

    def arm(self, fault):
        with self.lock:
            self.fault, self.seen = fault, 0

    def begin(self, client):
        both = [client]
        try:
            client.settimeout(60)
            both[0] = client = self.tls.wrap_socket(client, server_side=True)
            server = self.any.wrap_socket(self.connect())
            both.append(server)
            self.talk(client, client.makefile("rb"), server, server.makefile("rb"))
        except (OSError, ValueError):
            pass
        shut(*both)
        for s in both:
            s.close()

    @staticmethod
    def read(stream, sink=None, bodyless=False):
        """The next message, or None at the end.  Who waits to be told to go on (to ${sink}) is told so."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = stream.readline(65536)
            if not line:
                return None
            head += line
        if sink is not None and re.search(rb"(?i)\r\nExpect: 100-continue", head):
            head = re.sub(rb"(?i)\r\nExpect:[^\r]*", b"", head)
            sink.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        found = re.search(rb"(?i)\r\nContent-Length: *(\d+)", head)
        n = int(found.group(1)) if found and not bodyless else 0
        body = stream.read(n) if n > 0 else b""
        return Message(head, body) if len(body) == n else None

    def due(self):
        with self.lock:
            self.seen += 1
            fault = self.fault
            if fault is None or fault.done or self.seen != fault.number:
                return None
            fault.done = True
            return fault

    def talk(self, client, from_client, server, from_server):
        while True:
            request = self.read(from_client, sink=client)
            if request is None:
                return
            fault = self.due()
            if fault is not None and fault.status is not None:
                if fault.heard:
                    server.sendall(request.bytes())
                    self.read(from_server)
                client.sendall(foreign(*fault.status))
                continue
            if fault is not None and fault.side == 0:
                self.change(server, client, fault, request)
            else:
                server.sendall(request.bytes())
            answer = self.read(from_server)
            if answer is None:
                return
            if fault is not None and fault.side == 0 and fault.kind == "twice":
                answer = self.read(from_server) or answer
            if fault is not None and fault.side == 1:
                self.change(client, server, fault, answer)
            else:
                client.sendall(answer.bytes())

    @staticmethod
    def change(sink, source, fault, m):
        whole, at = m.bytes(), 0
        at = 1 + int(fault.share * (len(whole) - 1))
        if fault.kind == "length too large":
            sink.sendall(m.length(len(m.body) + 1 + int(fault.share * 5000)) + m.body)
            raise Cut
        if fault.kind == "length too small":
            # What is too much stands where the next message should begin.
            sink.sendall(m.length(int(fault.share * len(m.body))) + m.body)
        elif fault.kind == "chunked and cut":
            head = m.length(None)[:-2] + b"Transfer-Encoding: chunked\r\n\r\n"
            sink.sendall(head + b"%x\r\n" % (len(m.body) + 1) + m.body)
            raise Cut
        elif fault.kind in ("cut", "cut and reset", "stall and cut"):
            sink.sendall(whole[:at])
            if fault.kind == "stall and cut":
                pause(0.3)
            if fault.kind == "cut and reset":
                reset(sink)
                reset(source)
            raise Cut
        elif fault.kind == "one by one":
            for i in range(min(len(whole), 600)):
                sink.sendall(whole[i:i + 1])
            sink.sendall(whole[600:])
        else:
            if fault.kind == "delay":
                pause(0.3)
            sink.sendall(whole)
            if fault.kind == "twice":
                sink.sendall(whole)


class AnyProxy(HttpProxy, Proxy):
    """Both, as the next fault wants it."""

    def begin(self, client):
        (HttpProxy if isinstance(self.fault, HttpFault) else Proxy).begin(self, client)


if __name__ == "__main__" and sys.argv[1] == "late":
    late = LateProxy(int(sys.argv[5]) / 1000, lambda: int(sys.argv[4]), (sys.argv[2], int(sys.argv[3])))
    threading.Event().wait()
