"""A small shop that listens where HOST and PORT say."""
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = os.environ.get("VERSION", "v1")
PRICE = 0 if os.environ.get("BROKEN") else 250  # cents


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


ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Shop).serve_forever()
