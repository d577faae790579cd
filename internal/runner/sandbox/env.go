package sandbox

import (
	"maps"
	"strconv"
	"strings"
)

// environment is everything a sandbox's program sees. Nothing of our own environment gets in.
//
// Three variables stand in for what Lambda gives by isolation: HOME and TMPDIR are folders of this sandbox (a handler
// must not read the operator's ~/.aws), and the EC2 metadata service is switched off for AWS clients (a handler must not
// become the host's role).
func (l launch) environment() map[string]string {
	f := l.function
	env := map[string]string{
		"LANG":                      "en_US.UTF-8",
		"TZ":                        ":UTC",
		"PATH":                      l.path,
		"HOME":                      l.scratch,
		"TMPDIR":                    l.scratch,
		"AWS_EC2_METADATA_DISABLED": "true",
		"AWS_XRAY_CONTEXT_MISSING":  "LOG_ERROR",
	}
	if l.endpoint != "" {
		env["AWS_ENDPOINT_URL"] = l.endpoint
	}
	maps.Copy(env, f.Env)
	maps.Copy(env, map[string]string{
		"_HANDLER":                        f.Handler,
		"AWS_DEFAULT_REGION":              f.Region,
		"AWS_REGION":                      f.Region,
		"AWS_LAMBDA_FUNCTION_NAME":        f.Name,
		"AWS_LAMBDA_FUNCTION_VERSION":     "$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.Itoa(f.MemoryMB),
		"AWS_LAMBDA_INITIALIZATION_TYPE":  "on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME":       f.LogGroup(),
		"AWS_LAMBDA_LOG_STREAM_NAME":      l.stream,
		"AWS_LAMBDA_RUNTIME_API":          l.api,
		"LAMBDA_TASK_ROOT":                f.CodeDir,
		"LAMBDA_RUNTIME_DIR":              l.runtimeDir,
	})
	// Lambda does not define it for the OS-only runtimes.
	if !strings.HasPrefix(f.Runtime, "provided") {
		env["AWS_EXECUTION_ENV"] = "AWS_Lambda_" + f.Runtime
	}
	if c := l.credentials; c != nil {
		env["AWS_ACCESS_KEY_ID"] = c.AccessKeyID
		env["AWS_SECRET_ACCESS_KEY"] = c.SecretAccessKey
		if c.SessionToken != "" {
			env["AWS_SESSION_TOKEN"] = c.SessionToken
		}
	}
	return env
}

// launch is what the environment of a sandbox is made of.
type launch struct {
	function    Function
	credentials *Credentials
	endpoint    string
	api         string // host:port of the sandbox's Runtime API
	stream      string
	scratch     string
	runtimeDir  string
	path        string
}
