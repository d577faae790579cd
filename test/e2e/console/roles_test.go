//go:build linux

package console

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// roles: the console may what the one who signed in may. A viewer sees and cannot press, somebody without
// permissions sees nothing, and a session ends with its key.
func (i *installation) roles(t *testing.T, id string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "python3", "-c", "import boto3").CombinedOutput(); err != nil {
		t.Skipf("python3 with boto3 is not installed: %v: %s", err, out)
	}
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
	i.boto(t, `iam.delete_access_key(UserName="viewer", AccessKeyId=iam.list_access_keys(UserName="viewer")["AccessKeyMetadata"][0]["AccessKeyId"])`)
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

// boto runs a line of Python with a client of IAM.
func (i *installation) boto(t *testing.T, line string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "python3", "-c", "import boto3\niam = boto3.client('iam')\n"+line)
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+i.url, "AWS_SHARED_CREDENTIALS_FILE="+filepath.Join(i.data(), "credentials"), "AWS_CONFIG_FILE=/dev/null", "AWS_DEFAULT_REGION=us-east-1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return strings.TrimSpace(string(out))
}

// person is somebody at a browser without scripts.
type person struct {
	base   string
	client *http.Client
}

// user makes an IAM user who may some actions, and signs in with the user's key.
func (i *installation) user(t *testing.T, name, actions string) person {
	t.Helper()
	keys := strings.Fields(i.boto(t, `iam.create_user(UserName="`+name+`")
iam.put_user_policy(UserName="`+name+`", PolicyName="p", PolicyDocument='{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": [`+actions+`], "Resource": "*"}]}')
k = iam.create_access_key(UserName="`+name+`")["AccessKey"]
print(k["AccessKeyId"], k["SecretAccessKey"])`))
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := person{i.url, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	if status, page := p.post(t, "/console/sign-in", url.Values{"key": {keys[0]}, "secret": {keys[1]}}); status != http.StatusSeeOther {
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
