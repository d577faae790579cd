"""An end-to-end check: python3 verify.py URL. The exit code decides."""
import json
import sys
import urllib.request

base = sys.argv[1]
request = urllib.request.Request(base + "/orders", data=json.dumps({"quantity": 3}).encode())
with urllib.request.urlopen(request, timeout=5) as response:
    order = json.load(response)
print(f"{base} answered {order}")
if order["total"] != 750:
    sys.exit(f"expected a total of 750, got {order['total']}")
