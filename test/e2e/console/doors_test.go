//go:build linux

package console

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// doors: browsers are led to the console, and what is signed stays the API's, a bucket called "console" included.
func (i *installation) doors(t *testing.T) {
	t.Helper()
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
