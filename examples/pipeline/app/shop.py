"""A small shop that listens where HOST and PORT say."""
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = open("VERSION").read().strip()  # written by the build
PRICE = 250  # cents


class Shop(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/healthz":
            self.answer("ok\n")
        elif self.path == "/version":
            self.answer(VERSION + "\n")
        else:
            self.answer("not found\n", 404)

    def do_POST(self):
        order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(json.dumps({"version": VERSION, "total": PRICE * order["quantity"]}) + "\n")

    def answer(self, body, status=200):
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


ThreadingHTTPServer((os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])), Shop).serve_forever()
