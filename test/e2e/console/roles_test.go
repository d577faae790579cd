//go:build linux

package console

import (
	"bytes"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"greengate/internal/sigv4"
)

// roles: the console may what the one who signed in may. A viewer sees and cannot press, somebody without
// permissions sees nothing, and a session ends with its key.
func (i *installation) roles(t *testing.T, id string) {
	t.Helper()
	viewer := i.user(t, "viewer", `"greengate:Describe*", "greengate:List*", "greengate:Events", "greengate:Logs"`)
	nobody := i.user(t, "nobody", `"s3:GetObject"`)

	if status, page := nobody.get(t, "/console/deployments/"+id); status != http.StatusForbidden || !strings.Contains(page, "greengate:DescribeDeployment") {
		t.Errorf("somebody without permissions: %d\n%s", status, page)
	}
	status, page := viewer.get(t, "/console/deployments/"+id)
	if status != http.StatusOK || !strings.Contains(page, "Lifecycle") || !strings.Contains(page, "user/viewer") {
		t.Fatalf("the viewer: %d\n%s", status, page)
	}
	form := url.Values{"token": {field(t, page, `name="token" value="([^"]+)"`)}, "revision": {field(t, page, `name="revision" value="(\d+)"`)}}
	if status, page := viewer.post(t, "/console/deployments/"+id+"/stop", form); status != http.StatusForbidden || !strings.Contains(page, "codedeploy:StopDeployment") {
		t.Errorf("the viewer's stop: %d\n%s", status, page)
	}
	i.iam(t, "DeleteAccessKey", "UserName", "viewer", "AccessKeyId", viewer.key)
	if status, _ := viewer.get(t, "/console/"); status != http.StatusSeeOther {
		t.Errorf("after the key was deleted: %d", status)
	}
}

func field(t *testing.T, page, pattern string) string {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("there is no %s in\n%s", pattern, page)
	}
	return m[1]
}

// iam does an operation of IAM with the root key and returns the answer.
func (i *installation) iam(t *testing.T, action string, parameters ...string) string {
	t.Helper()
	form := url.Values{"Action": {action}, "Version": {"2010-05-08"}}
	for n := 0; n+1 < len(parameters); n += 2 {
		form.Set(parameters[n], parameters[n+1])
	}
	body := []byte(form.Encode())
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, i.url+"/", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	text, err := os.ReadFile(filepath.Join(i.data(), "credentials"))
	if err != nil {
		t.Fatal(err)
	}
	keys := sigv4.Keys{
		AccessKeyID: field(t, string(text), `aws_access_key_id *= *(\S+)`), SecretAccessKey: field(t, string(text), `aws_secret_access_key *= *(\S+)`), Region: "us-east-1",
	}
	sigv4.Sign(r, body, keys, "iam", time.Now())
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	status, answer := read(t, res)
	if status != http.StatusOK {
		t.Fatalf("%s: %d %s", action, status, answer)
	}
	return answer
}

// person is somebody at a browser without scripts.
type person struct {
	base   string
	key    string // its access key
	client *http.Client
}

// user makes an IAM user who may some actions, and signs in with the user's key.
func (i *installation) user(t *testing.T, name, actions string) person {
	t.Helper()
	i.iam(t, "CreateUser", "UserName", name)
	i.iam(t, "PutUserPolicy", "UserName", name, "PolicyName", "p", "PolicyDocument",
		`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": [`+actions+`], "Resource": "*"}]}`)
	key := i.iam(t, "CreateAccessKey", "UserName", name)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := person{i.url, field(t, key, "<AccessKeyId>(.+)</AccessKeyId>"), &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	if status, page := p.post(t, "/console/sign-in", url.Values{"key": {p.key}, "secret": {field(t, key, "<SecretAccessKey>(.+)</SecretAccessKey>")}}); status != http.StatusSeeOther {
		t.Fatalf("sign in as %s: %d\n%s", name, status, page)
	}
	return p
}

func (p person) get(t *testing.T, path string) (int, string) {
	t.Helper()
	res, err := p.client.Get(p.base + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return read(t, res)
}

func (p person) post(t *testing.T, path string, form url.Values) (int, string) {
	t.Helper()
	res, err := p.client.PostForm(p.base+path, form)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return read(t, res)
}

func read(t *testing.T, res *http.Response) (int, string) {
	t.Helper()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}
