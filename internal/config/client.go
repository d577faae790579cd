package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
)

// DefaultRegion is what a controller calls its region unless told otherwise.
const DefaultRegion = "us-east-1"

const defaultDataDir = ".greengate"

// ErrNoController says that nothing tells where a controller is.
var ErrNoController = errors.New("no controller is known")

// DataDir is the data folder: the flag, else $GREENGATE_DATA, else ./.greengate. It is absolute.
func DataDir(flag string, environ func(string) string) (string, error) {
	dir := firstOf(flag, environ("GREENGATE_DATA"), defaultDataDir)
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("resolve data folder %s: %w", dir, err)
	}
	return abs, nil
}

// ClientFlags are the flags by which a client is told where the controller is; empty where not given.
type ClientFlags struct {
	Data     string
	Endpoint string
}

// FindController returns keys and endpoint of the controller to talk to: what the flags say; inside a hook
// ($GREENGATE_DEPLOYMENT_ID) what the AWS_ variables say, which were made for that hook; else the data folder; else the
// AWS_ variables, where both keys and endpoint are among them. It is ErrNoController where none of these is there.
func FindController(flags ClientFlags, environ func(string) string) (Credentials, error) {
	fromEnv, complete := environmentCredentials(environ)
	explicit := flags.Data != "" || flags.Endpoint != ""
	if complete && !explicit && environ("GREENGATE_DEPLOYMENT_ID") != "" {
		return fromEnv, checkEndpoint(fromEnv.Endpoint)
	}
	dir, err := DataDir(flags.Data, environ)
	if err != nil {
		return Credentials{}, err
	}
	c, err := ReadCredentials(dir)
	switch {
	case err == nil:
	case !errors.Is(err, fs.ErrNotExist):
		return Credentials{}, err
	case flags.Data != "":
		return Credentials{}, fmt.Errorf("%w: %s holds no credentials", ErrNoController, dir)
	case complete || (fromEnv.AccessKeyID != "" && flags.Endpoint != ""):
		c = fromEnv
	default:
		return Credentials{}, fmt.Errorf("%w: %s holds no credentials, and AWS_ENDPOINT_URL is not set with keys", ErrNoController, dir)
	}
	c.Endpoint = firstOf(flags.Endpoint, environ("GREENGATE_ENDPOINT"), c.Endpoint)
	c.Region = firstOf(c.Region, DefaultRegion)
	return c, checkEndpoint(c.Endpoint)
}

func environmentCredentials(environ func(string) string) (c Credentials, complete bool) {
	c = Credentials{
		AccessKeyID:     environ("AWS_ACCESS_KEY_ID"),
		SecretAccessKey: environ("AWS_SECRET_ACCESS_KEY"),
		SessionToken:    environ("AWS_SESSION_TOKEN"),
		Region:          firstOf(environ("AWS_REGION"), environ("AWS_DEFAULT_REGION"), DefaultRegion),
		Endpoint:        environ("AWS_ENDPOINT_URL"),
	}
	return c, c.AccessKeyID != "" && c.SecretAccessKey != "" && c.Endpoint != ""
}

func checkEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("the endpoint %q is not a URL such as http://127.0.0.1:4566", endpoint)
	}
	return nil
}

// Hook is what the environment of a hook says about itself; empty outside of one.
type Hook struct {
	DeploymentID string
	ExecutionID  string
}

// HookFromEnvironment reads what the controller gave to the hook that runs this process.
func HookFromEnvironment(environ func(string) string) Hook {
	return Hook{DeploymentID: environ("GREENGATE_DEPLOYMENT_ID"), ExecutionID: environ("GREENGATE_HOOK_EXECUTION_ID")}
}

// Colour reports whether the environment allows colour (NO_COLOR of no-color.org, and TERM=dumb).
func Colour(environ func(string) string) bool {
	return environ("NO_COLOR") == "" && environ("TERM") != "dumb"
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
