//go:build linux

package console

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// TestDoors: browsers are led to the console, and what is signed stays the API's, a bucket called "console" included.
func TestDoors(t *testing.T) {
	i := start(t)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ask := func(path, accept string) (int, string) {
		t.Helper()
		r, err := http.NewRequest(http.MethodGet, i.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", accept)
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		return res.StatusCode, res.Header.Get("Location")
	}
	if status, to := ask("/", "text/html,*/*"); status != http.StatusFound || to != "/console/" {
		t.Errorf("a browser at /: %d to %q", status, to)
	}
	if status, to := ask("/", "*/*"); status == http.StatusFound {
		t.Errorf("a program at / is led to %q", to)
	}
	if status, _ := ask("/console", "text/html"); status != http.StatusPermanentRedirect {
		t.Errorf("/console: %d", status)
	}
	if out, err := exec.CommandContext(t.Context(), "python3", "-c", "import boto3").CombinedOutput(); err != nil {
		t.Skipf("python3 with boto3 is not installed: %v: %s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), "python3", "-c", `
import boto3, urllib.request
from botocore.config import Config
s3 = boto3.client("s3", config=Config(signature_version="s3v4", s3={"addressing_style": "path"}))
s3.create_bucket(Bucket="console")
s3.put_object(Bucket="console", Key="sign-in", Body=b"an object")
assert s3.get_object(Bucket="console", Key="sign-in")["Body"].read() == b"an object"
assert [o["Key"] for o in s3.list_objects_v2(Bucket="console")["Contents"]] == ["sign-in"]
url = s3.generate_presigned_url("get_object", Params={"Bucket": "console", "Key": "sign-in"})
assert urllib.request.urlopen(url).read() == b"an object", url
`)
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+i.url, "AWS_SHARED_CREDENTIALS_FILE="+filepath.Join(i.data(), "credentials"), "AWS_CONFIG_FILE=/dev/null", "AWS_DEFAULT_REGION=us-east-1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("a bucket called console: %v\n%s", err, out)
	}
}

// TestNotify: a receiver hears of each event of a deployment, though the controller dies in the middle of it.
func TestNotify(t *testing.T) {
	events := make(chan string, 20)
	var seen sync.Map
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var n struct{ Event, Deployment string }
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(body, &n)
		}
		if err != nil {
			t.Errorf("a notice that cannot be read: %v: %s", err, body)
		}
		// What was heard when the controller died may come again, with the same id: a receiver tells by that.
		if _, again := seen.LoadOrStore(r.Header.Get("Idempotency-Key"), true); !again {
			events <- n.Event
		}
	}))
	t.Cleanup(receiver.Close)
	file := filepath.Join(t.TempDir(), "notify")
	if err := os.WriteFile(file, []byte("webhook "+receiver.URL+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	i := start(t, "--notify", file)
	id := i.deploy("v1", "manual", good)
	var got []string
	hear := func(want ...string) {
		t.Helper()
		for range want {
			select {
			case e := <-events:
				got = append(got, e)
			case <-time.After(patience):
				t.Fatalf("heard only %q", got)
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("heard %q, not %q", got, want)
		}
		got = nil
	}
	hear("started")
	i.killController()
	i.write("go", "")
	hear("ready")
	i.killController()
	i.greengate("stop", id)
	hear("stopped")
	select {
	case e := <-events:
		t.Errorf("heard %q once more", e)
	default:
	}
}
