package lambdahook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"greengate/internal/sigv4"
)

// What CodeDeploy is told (API reference, PutLifecycleEventHookExecutionStatus).
const (
	reportSucceeded = "Succeeded"
	reportFailed    = "Failed"
)

const (
	reportTries = 5
	reportLimit = 3 * time.Second // of one try
	maxAnswer   = 1 << 20
)

// codedeploy tells CodeDeploy how hooks ended, with the keys that Lambda gives to the function.
type codedeploy struct {
	client *http.Client
	getenv func(string) string
}

// endpoint is CodeDeploy's, or what the environment says ("Service-specific endpoints" in the SDKs' reference guide).
func (c codedeploy) endpoint(region string) string {
	for _, name := range []string{"AWS_ENDPOINT_URL_CODEDEPLOY", "AWS_ENDPOINT_URL"} {
		if url := c.getenv(name); url != "" {
			return strings.TrimRight(url, "/") + "/"
		}
	}
	domain := "amazonaws.com"
	if strings.HasPrefix(region, "cn-") {
		domain = "amazonaws.com.cn"
	}
	return "https://codedeploy." + region + "." + domain + "/"
}

// report tells the status of a hook, again where it may not have arrived, until ctx ends.
func (c codedeploy) report(ctx context.Context, id call, status string) error {
	body, err := json.Marshal(map[string]string{
		"deploymentId": id.deployment, "lifecycleEventHookExecutionId": id.execution, "status": status,
	})
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	for try := 1; ; try++ {
		again, err := c.once(ctx, body)
		if refused, ok := errors.AsType[*reportError](err); ok && try > 1 && refused.code == "LifecycleEventAlreadyCompletedException" {
			return nil // an earlier try has arrived
		}
		if err == nil || !again || try == reportTries {
			return err
		}
		timer := time.NewTimer(time.Duration(try*try) * 100 * time.Millisecond)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}

// reportError is an answer that says no.
type reportError struct {
	status        int
	code, message string
}

func (e *reportError) Error() string {
	return fmt.Sprintf("CodeDeploy refused the report: HTTP %d %s: %s", e.status, e.code, e.message)
}

// once tries once; again says whether another try may help.
func (c codedeploy) once(ctx context.Context, body []byte) (again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, reportLimit)
	defer cancel()
	keys := sigv4.Keys{
		AccessKeyID: c.getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: c.getenv("AWS_SECRET_ACCESS_KEY"),
		SessionToken: c.getenv("AWS_SESSION_TOKEN"), Region: either(c.getenv("AWS_REGION"), c.getenv("AWS_DEFAULT_REGION")),
	}
	if keys.AccessKeyID == "" || keys.Region == "" {
		return false, errors.New("report to CodeDeploy: the environment has no AWS_ACCESS_KEY_ID or no AWS_REGION")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint(keys.Region), bytes.NewReader(body))
	if err != nil {
		return false, fmt.Errorf("make report: %w", err)
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "CodeDeploy_20141006.PutLifecycleEventHookExecutionStatus")
	sigv4.Sign(r, body, keys, "codedeploy", time.Now())
	answer, err := c.client.Do(r)
	if err != nil {
		return true, fmt.Errorf("report to CodeDeploy: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		return true, fmt.Errorf("read answer of CodeDeploy: %w", err)
	}
	if answer.StatusCode == http.StatusOK {
		return false, nil
	}
	e := decodeReportError(answer.StatusCode, text)
	return e.status >= http.StatusInternalServerError || strings.Contains(e.code, "Throttl"), e
}

// decodeReportError reads an error of JSON 1.1; its code may have a name space before it and a link after it.
func decodeReportError(status int, text []byte) *reportError {
	var shape struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	_ = json.Unmarshal(text, &shape) // what is none still has its status
	code, _, _ := strings.Cut(shape.Type, ":")
	return &reportError{status, code[strings.LastIndexByte(code, '#')+1:], shape.Message}
}
