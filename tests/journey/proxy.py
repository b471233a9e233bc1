#!/usr/bin/env python3
"""proxy.py PORTFILE USER:PASSWORD: an HTTP proxy that knows CONNECT and Basic, and writes each request's line."""
import base64
import os
import select
import socket
import sys
import threading


def pump(a, b):
    while True:
        for s in select.select([a, b], [], [])[0]:
            data = s.recv(65536)
            if not data:
                return
            (b if s is a else a).sendall(data)


def head(c):
    data = b""
    while b"\r\n\r\n" not in data:
        more = c.recv(4096)
        if not more or len(data) > 65536:
            return None
        data += more
    return data.decode("latin-1").split("\r\n")


def serve(c, want):
    with c:
        while True:
            lines = head(c)
            if lines is None:
                return
            print(lines[0], flush=True)
            fields = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
            if "authorization" in fields:
                print("a token came to the proxy", flush=True)
            if fields.get("proxy-authorization") == want:
                break
            c.sendall(b'HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm="p"\r\nContent-Length: 0\r\n\r\n')
        host, _, port = lines[0].split()[1].rpartition(":")
        with socket.create_connection((host, int(port))) as up:
            c.sendall(b"HTTP/1.1 200 Yes\r\n\r\n")
            pump(c, up)


def main():
    listener = socket.create_server(("127.0.0.1", 0))
    with open(sys.argv[1] + ".new", "w") as f:
        f.write(str(listener.getsockname()[1]))
    os.rename(sys.argv[1] + ".new", sys.argv[1])
    want = "Basic " + base64.b64encode(sys.argv[2].encode()).decode()
    while True:
        c, _ = listener.accept()
        threading.Thread(target=serve, args=(c, want), daemon=True).start()


main()
