package config

import (
	"errors"
	"strings"
)

// Endpoints says where AWS services are, and with which keys: on a controller, or Amazon's own.
type Endpoints struct {
	Credentials
	// AWS says that they are Amazon's own, or what AWS_ENDPOINT_URL_SERVICE names for one of them.
	AWS     bool
	environ func(string) string
}

// FindEndpoints is FindController for commands that speak AWS's own APIs only. Where no controller is known, and the
// environment has AWS keys and a region, it is Amazon Web Services.
func FindEndpoints(flags ClientFlags, environ func(string) string) (Endpoints, error) {
	c, err := FindController(flags, environ)
	if err == nil {
		return Endpoints{Credentials: c}, nil
	}
	fromEnv, _ := environmentCredentials(environ)
	region := firstOf(environ("AWS_REGION"), environ("AWS_DEFAULT_REGION"))
	if !errors.Is(err, ErrNoController) || flags.Data != "" || flags.Endpoint != "" ||
		fromEnv.AccessKeyID == "" || fromEnv.SecretAccessKey == "" || region == "" {
		return Endpoints{}, err
	}
	return Endpoints{Credentials: fromEnv, AWS: true, environ: environ}, nil
}

// FindAWS is FindEndpoints for who means AWS: the environment alone says where it is, with which keys, and no data folder
// counts. AWS_ENDPOINT_URL names another endpoint for all services.
func FindAWS(environ func(string) string) (Endpoints, error) {
	fromEnv, complete := environmentCredentials(environ)
	switch {
	case fromEnv.AccessKeyID == "" || fromEnv.SecretAccessKey == "":
		return Endpoints{}, errors.New("the environment has no AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	case complete:
		return Endpoints{Credentials: fromEnv}, checkEndpoint(fromEnv.Endpoint)
	case firstOf(environ("AWS_REGION"), environ("AWS_DEFAULT_REGION")) == "":
		return Endpoints{}, errors.New("the environment has no AWS_REGION")
	}
	return Endpoints{Credentials: fromEnv, AWS: true, environ: environ}, nil
}

// Of is the URL of a service, by the prefix that it has in Amazon's host names ("monitoring" is CloudWatch).
func (e Endpoints) Of(service string) string {
	if !e.AWS {
		return e.Endpoint
	}
	// The names of botocore's service ids (AWS SDKs and tools reference guide, "Service-specific endpoints").
	id := map[string]string{"monitoring": "CLOUDWATCH", "elasticloadbalancing": "ELASTIC_LOAD_BALANCING_V2"}[service]
	if url := e.environ("AWS_ENDPOINT_URL_" + firstOf(id, strings.ToUpper(service))); url != "" {
		return url
	}
	if service == "iam" {
		return "https://iam.amazonaws.com"
	}
	domain := "amazonaws.com"
	if strings.HasPrefix(e.Region, "cn-") {
		domain = "amazonaws.com.cn"
	}
	return "https://" + service + "." + e.Region + "." + domain
}

// RegionOf is the region that a request to a service is signed for. IAM is global and has one.
func (e Endpoints) RegionOf(service string) string {
	if e.AWS && service == "iam" {
		return DefaultRegion
	}
	return e.Region
}
