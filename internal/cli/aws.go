package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"greengate/internal/config"
	"greengate/internal/sigv4"
)

// awsClient speaks the AWS APIs of a pipeline: a controller answers them, and Amazon does.
type awsClient struct {
	*client
	at config.Endpoints
}

// connectAWS finds the controller, or AWS where none is known; with aws it is AWS, or what AWS_ENDPOINT_URL names.
func (a *app) connectAWS(aws bool) (*awsClient, error) {
	at, err := config.FindEndpoints(a.flags, a.env.Getenv)
	if aws {
		if at, err = config.FindAWS(a.env.Getenv); err != nil {
			err = withHint(usage(err), `eval "$(aws configure export-credentials --format env)" gives the keys of a profile`)
		}
	}
	if err != nil {
		return nil, err
	}
	if at.AWS {
		at.Endpoint = at.Of("codedeploy") // what messages name
	}
	return &awsClient{newClient(at.Credentials, a.env.Now), at}, nil
}

// Services by the prefix of their host names and of their actions, with the target prefix of those that speak JSON.
const (
	serviceECS     = "ecs"
	prefixECS      = "AmazonEC2ContainerServiceV20141113."
	serviceLambda  = "lambda"
	serviceLogs    = "logs"
	prefixLogs     = "Logs_20140328."
	functionPrefix = "/2015-03-31/functions/"
)

// codedeploy does an operation of CodeDeploy.
func (c *awsClient) codedeploy(ctx context.Context, operation string, in, out any) error {
	return c.JSON(ctx, serviceCodeDeploy, prefixCodeDeploy+operation, in, out)
}

// ecs does an operation of ECS.
func (c *awsClient) ecs(ctx context.Context, operation string, in, out any) error {
	return c.JSON(ctx, serviceECS, prefixECS+operation, in, out)
}

// logs does an operation of CloudWatch Logs.
func (c *awsClient) logs(ctx context.Context, operation string, in, out any) error {
	return c.JSON(ctx, serviceLogs, prefixLogs+operation, in, out)
}

// JSON implements preflight.Asker.
func (c *awsClient) JSON(ctx context.Context, service, target string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	answer, err := c.send(ctx, service, "/", http.Header{"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {target}}, body)
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(answer)) == 0 {
		return nil // an operation without output
	}
	return c.decoded(json.Unmarshal(answer, out))
}

// Query does an operation of a service that takes forms and answers XML. out takes the whole answer.
func (c *awsClient) Query(ctx context.Context, service, version string, form url.Values, out any) error {
	form.Set("Version", version)
	answer, err := c.send(ctx, service, "/", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, []byte(form.Encode()))
	if err != nil {
		return err
	}
	return c.decoded(xml.Unmarshal(answer, out)) //nolint:gosec // into a structure of ours: encoding/xml makes nothing else of it
}

// Function reads what Lambda has of a function (GetFunction), by its name or ARN; false where it has none.
func (c *awsClient) Function(ctx context.Context, name string, out any) (bool, error) {
	answer, err := c.send(ctx, serviceLambda, functionPrefix+sigv4.EscapeSegment(name), nil, nil)
	if e, ok := errors.AsType[*wireError](err); ok && e.Status == http.StatusNotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, c.decoded(json.Unmarshal(answer, out))
}

func (c *awsClient) decoded(err error) error {
	if err != nil {
		return &unreachableError{endpoint: c.at.Endpoint, sent: true, err: fmt.Errorf("decode answer: %w", err)}
	}
	return nil
}

// send does a request, GET where it has no body, and returns what was answered with 200.
func (c *awsClient) send(ctx context.Context, service, path string, header http.Header, body []byte) ([]byte, error) {
	limited, cancel := context.WithTimeoutCause(ctx, answerLimit, errNoAnswer)
	defer cancel()
	method := http.MethodPost
	if body == nil {
		method = http.MethodGet
	}
	endpoint := c.at.Of(service)
	r, err := http.NewRequestWithContext(limited, method, strings.TrimRight(endpoint, "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	maps.Copy(r.Header, header)
	creds := c.creds
	creds.Region = c.at.RegionOf(service)
	sign(r, body, creds, service, c.now())
	status, answer, err := c.roundTrip(r)
	if err != nil {
		return nil, c.lost(ctx, endpoint, err)
	}
	if status != http.StatusOK {
		return nil, decodeAny(status, answer)
	}
	return answer, nil
}

// decodeAny reads an error of any of the protocols.
func decodeAny(status int, answer []byte) error {
	var doc struct {
		Code    string `xml:"Error>Code"`
		Message string `xml:"Error>Message"`
	}
	if trimmed := bytes.TrimSpace(answer); len(trimmed) > 0 && trimmed[0] == '<' && xml.Unmarshal(answer, &doc) == nil && doc.Code != "" { //nolint:gosec // as above
		return &wireError{Status: status, Code: doc.Code, Message: doc.Message}
	}
	return decodeError(status, answer)
}

// named reports whether an error of the wire has one of the names, without the suffix Exception.
func named(err error, names ...string) bool {
	e, ok := errors.AsType[*wireError](err)
	if !ok {
		return false
	}
	for _, n := range names {
		if e.Name() == strings.ToLower(n) {
			return true
		}
	}
	return false
}
