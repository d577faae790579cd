"""A web service that says which version it is. The version "sick" fails its health check, "failing" whatever else it is
asked, "slow" takes its time; GET /break makes any of them sick."""
import http.server
import os
import time

broken = False


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        global broken
        body, check = os.environ["VERSION"].encode(), self.path == "/healthz"
        broken = broken or self.path == "/break"
        if body == b"slow" and not check:
            time.sleep(0.4)
        self.send_response(500 if check and (broken or body == b"sick") or not check and body == b"failing" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


http.server.ThreadingHTTPServer((os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])), Handler).serve_forever()
