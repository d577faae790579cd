package sigv4

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestSign_vectors compares with the signatures of AWS's own test suite (aws-sig-v4-test-suite, post-vanilla) and of
// aws-sdk-go-v2 for a request as this client makes it.
func TestSign_vectors(t *testing.T) {
	tests := []struct {
		name, url, service, at string
		secret                 string
		headers                map[string]string
		body                   string
		want                   string
	}{
		{
			name: "post-vanilla", url: "https://example.amazonaws.com/", service: "service", at: "20150830T123600Z",
			secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
			want:   "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
		},
		{
			name: "aws-sdk-go-v2", url: "http://127.0.0.1:4566/", service: "codedeploy", at: "20261122T123600Z",
			secret:  "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
			headers: map[string]string{"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "CodeDeploy_20141006.GetDeployment", "Content-Length": "30"},
			body:    `{"deploymentId":"d-AB12CD34E"}`,
			want:    "5e68aeabb886f149748a46b8bd3b9673d775fe12c438c9e40e93f4fdbff9dbd6",
		},
	}
	for _, tt := range tests {
		at, err := time.Parse("20060102T150405Z", tt.at)
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequest(http.MethodPost, tt.url, bytes.NewReader([]byte(tt.body)))
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range tt.headers {
			r.Header.Set(k, v)
		}
		Sign(r, []byte(tt.body), Keys{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: tt.secret, Region: "us-east-1"}, tt.service, at)
		if got := r.Header.Get("Authorization"); !strings.HasSuffix(got, "Signature="+tt.want) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// TestCanonicalPath: a path is signed with each segment escaped twice, as aws-sdk-go-v2 and botocore do.
func TestCanonicalPath(t *testing.T) {
	t.Parallel()
	u, err := url.Parse("http://127.0.0.1" + "/2015-03-31/functions/" + EscapeSegment("arn:aws:lambda:x:1:function:a b"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "/2015-03-31/functions/arn%253Aaws%253Alambda%253Ax%253A1%253Afunction%253Aa%2520b"; canonicalPath(u) != want {
		t.Errorf("%s, want %s", canonicalPath(u), want)
	}
}
