//go:build linux

package kill

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"greengate/internal/config"
	"greengate/internal/deploy"
)

// call asks the controller once; it may be dead just now.
func (w *world) call(target string, in, out any) error {
	return w.callWithin(context.Background(), target, in, out)
}

func (w *world) callWithin(ctx context.Context, target string, in, out any) error {
	creds, err := config.ReadCredentials(w.data)
	if err != nil {
		return err
	}
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, creds.Endpoint+"/", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", target)
	name, _, _ := strings.Cut(strings.ToLower(target), "_") // by which a request is signed, here
	sign(req, body, creds, name)
	res, err := w.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %d: %s", target, res.StatusCode, answer)
	}
	if out == nil || len(answer) == 0 {
		return nil
	}
	return json.Unmarshal(answer, out)
}

// ask repeats a question until it is answered.
func (w *world) ask(action string, in, out any) error {
	var err error
	for end := time.Now().Add(askLimit); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = w.call(deploy.TargetPrefix+action, in, out); err == nil {
			return nil
		}
	}
	return fmt.Errorf("no answer within %s: %w", askLimit, err)
}

const askLimit = 30 * time.Second

func (w *world) deployment(id string) (deploy.DeploymentView, error) {
	var v deploy.DeploymentView
	err := w.ask("DescribeDeployment", deploy.DeploymentInput{ID: id}, &v)
	return v, err
}

func (w *world) deployments() ([]deploy.DeploymentView, error) {
	var out deploy.ListDeploymentsOutput
	err := w.ask("ListDeployments", deploy.ListDeploymentsInput{Service: service, Limit: 1000}, &out)
	return out.Deployments, err
}

func (w *world) describe() (deploy.ServiceView, error) {
	var v deploy.ServiceView
	err := w.ask("DescribeService", deploy.ServiceInput{Name: service}, &v)
	return v, err
}

// follow hands every event after the cursor to see, until ctx ends. Calls that a kill cuts are made again.
func (w *world) follow(ctx context.Context, after int64, see func(deploy.HistoryEvent)) {
	for ctx.Err() == nil {
		var out deploy.EventsOutput
		in := deploy.EventsInput{After: after, Wait: time.Second, Limit: 1000}
		if err := w.callWithin(ctx, deploy.TargetPrefix+"Events", in, &out); err != nil {
			time.Sleep(10 * time.Millisecond) // the controller is being restarted
			continue
		}
		for _, e := range out.Events {
			see(e)
		}
		after = out.Next
	}
}

// cursor is the place in the history after all that has happened so far.
func (w *world) cursor() int64 {
	var out deploy.EventsOutput
	after := int64(0)
	for {
		if err := w.ask("Events", deploy.EventsInput{After: after, Limit: 1000}, &out); err != nil || len(out.Events) == 0 {
			return after
		}
		after = out.Next
	}
}

// proceed ends the wait of a deployment. It may have ended already, when a kill hid the answer.
func (w *world) proceed(id string) {
	var last error
	for end := time.Now().Add(askLimit); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		last = w.call("CodeDeploy_20141006.ContinueDeployment",
			map[string]string{"deploymentId": id, "deploymentWaitType": deploy.WaitReady}, nil)
		if v, err := w.deployment(id); err == nil && v.Waiting.For != deploy.WaitReady {
			return
		}
	}
	fmt.Fprintf(os.Stderr, "deployment %s could not be continued: %v\n", id, last)
}

// sign puts a Signature Version 4 on a request of JSON 1.1.
func sign(r *http.Request, body []byte, c config.Credentials, name string) {
	hash := func(b []byte) string {
		sum := sha256.Sum256(b)
		return hex.EncodeToString(sum[:])
	}
	stamp := time.Now().UTC().Format("20060102T150405Z")
	r.Header.Set("X-Amz-Date", stamp)
	const signed = "content-type;host;x-amz-date;x-amz-target"
	canonical := "POST\n/\n\ncontent-type:" + r.Header.Get("Content-Type") + "\nhost:" + r.URL.Host + "\nx-amz-date:" + stamp +
		"\nx-amz-target:" + r.Header.Get("X-Amz-Target") + "\n\n" + signed + "\n" + hash(body)
	scope := stamp[:8] + "/" + c.Region + "/" + name + "/aws4_request"
	key := []byte("AWS4" + c.SecretAccessKey)
	for _, part := range []string{
		stamp[:8], c.Region, name, "aws4_request", "AWS4-HMAC-SHA256\n" + stamp + "\n" + scope + "\n" + hash([]byte(canonical)),
	} {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(part))
		key = h.Sum(nil)
	}
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+c.AccessKeyID+"/"+scope+", SignedHeaders="+signed+
		", Signature="+hex.EncodeToString(key))
}
