package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"greengate/internal/config"
)

// answer is one scripted answer of the fake controller: a document, an error, or a connection that breaks.
type answer struct {
	Status  int             `json:"status"`
	Error   string          `json:"error"`
	Message string          `json:"message"`
	Body    json.RawMessage `json:"body"`
	XML     string          `json:"xml"`
	Drop    bool            `json:"drop"`
}

// fakeController answers actions from a script. "ACTION ID" goes before "ACTION"; the last answer is repeated. What is not
// in the script is an error, as is a request that is not signed.
type fakeController struct {
	mu     sync.Mutex
	script map[string][]answer
	calls  []string
}

var testKeys = config.Credentials{AccessKeyID: "AKIATEST", SecretAccessKey: "it's a/secret+key", Region: "eu-west-1"}

var authorization = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=AKIATEST/\d{8}/eu-west-1/([a-z]+)/aws4_request, ` +
	`SignedHeaders=(?:content-type;)?host;x-amz-date(?:;x-amz-target)?, Signature=[0-9a-f]{64}$`)

func (f *fakeController) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	service, action := "", ""
	switch target := r.Header.Get("X-Amz-Target"); {
	case strings.HasPrefix(target, "Greengate_20261122."):
		service, action = "greengate", strings.TrimPrefix(target, "Greengate_20261122.")
	case strings.HasPrefix(target, "CodeDeploy_20141006."):
		service, action = "codedeploy", strings.TrimPrefix(target, "CodeDeploy_20141006.")
	case strings.HasPrefix(target, prefixECS):
		service, action = "ecs", strings.TrimPrefix(target, prefixECS)
	case strings.HasPrefix(target, prefixLogs):
		service, action = "logs", strings.TrimPrefix(target, prefixLogs)
	}
	signed := authorization.FindStringSubmatch(r.Header.Get("Authorization"))
	if service == "" && signed != nil {
		f.foreign(w, r, signed[1], string(body))
		return
	}
	if err != nil || signed == nil || signed[1] != service || r.Method != http.MethodPost || r.URL.Path != "/" ||
		r.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
		f.answer(w, answer{Status: 403, Error: "MissingAuthenticationTokenException", Message: "not signed"})
		return
	}
	var ids struct{ ID, Deployment, Name, ApplicationName, DeploymentID string }
	if err := json.Unmarshal(body, &ids); err != nil {
		f.answer(w, answer{Status: 400, Error: "SerializationException", Message: err.Error()})
		return
	}
	f.answer(w, f.next(action, ids.ID+ids.Deployment+ids.Name+ids.ApplicationName+ids.DeploymentID, string(body)))
}

// foreign answers what is no JSON 1.1: forms with an action, by "ACTION NAME" of the first name in it, and functions.
func (f *fakeController) foreign(w http.ResponseWriter, r *http.Request, service, body string) {
	if name, ok := strings.CutPrefix(r.URL.Path, functionPrefix); ok && service == "lambda" && r.Method == http.MethodGet {
		f.answer(w, f.next("GetFunction", name, "{}"))
		return
	}
	form, err := url.ParseQuery(body)
	if err != nil || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		f.answer(w, answer{Status: 400, Error: "SerializationException", Message: body})
		return
	}
	name := ""
	for _, key := range []string{"Names.member.1", "ListenerArns.member.1", "ListenerArn", "AlarmNames.member.1", "PolicySourceArn", "RoleName"} {
		name += form.Get(key)
	}
	f.answer(w, f.next(form.Get("Action"), name, form.Encode()))
}

func (f *fakeController) next(action, id, body string) answer {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, action+" "+body)
	for _, key := range []string{action + " " + id, action} {
		list := f.script[key]
		if len(list) > 1 {
			f.script[key] = list[1:]
		}
		if len(list) > 0 {
			return list[0]
		}
	}
	return answer{Status: 404, Error: "UnknownOperationException", Message: "the script has no " + action}
}

func (f *fakeController) answer(w http.ResponseWriter, a answer) {
	if a.Drop {
		panic(http.ErrAbortHandler)
	}
	if a.Error != "" {
		if a.Status == 0 {
			a.Status = http.StatusBadRequest
		}
		a.Body, _ = json.Marshal(map[string]string{"__type": a.Error, "message": a.Message})
	}
	if a.Status == 0 {
		a.Status = http.StatusOK
	}
	if a.XML != "" {
		a.Body = []byte(a.XML)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(a.Status)
	_, _ = w.Write(bytes.TrimSpace(a.Body))
}

// seen returns the calls so far, one a line, in order; repeated polls are one.
func (f *fakeController) seen() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var b strings.Builder
	last := ""
	for _, c := range f.calls {
		if c != last {
			fmt.Fprintln(&b, c)
		}
		last = c
	}
	return b.String()
}
