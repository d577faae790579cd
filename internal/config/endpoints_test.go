package config

import (
	"errors"
	"maps"
	"testing"
)

func TestFindEndpoints(t *testing.T) {
	t.Parallel()
	keys := map[string]string{"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "secret"}
	with := func(more ...string) func(string) string {
		env := map[string]string{"GREENGATE_DATA": t.TempDir()}
		maps.Copy(env, keys)
		for i := 0; i < len(more); i += 2 {
			env[more[i]] = more[i+1]
		}
		return func(name string) string { return env[name] }
	}
	for name, tc := range map[string]struct {
		flags   ClientFlags
		environ func(string) string
		none    bool
		of      map[string]string
	}{
		"a controller": {environ: with("AWS_REGION", "eu-west-1", "AWS_ENDPOINT_URL", "http://127.0.0.1:4566"), of: map[string]string{
			"ecs": "http://127.0.0.1:4566", "iam": "http://127.0.0.1:4566",
		}},
		"Amazon": {environ: with("AWS_DEFAULT_REGION", "eu-west-1", "AWS_ENDPOINT_URL_CLOUDWATCH", "https://own.example"), of: map[string]string{
			"ecs": "https://ecs.eu-west-1.amazonaws.com", "iam": "https://iam.amazonaws.com", "monitoring": "https://own.example",
			"elasticloadbalancing": "https://elasticloadbalancing.eu-west-1.amazonaws.com",
		}},
		"China":                  {environ: with("AWS_REGION", "cn-north-1"), of: map[string]string{"codedeploy": "https://codedeploy.cn-north-1.amazonaws.com.cn"}},
		"no region":              {environ: with(), none: true},
		"a data folder is meant": {flags: ClientFlags{Data: t.TempDir()}, environ: with("AWS_REGION", "eu-west-1"), none: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := FindEndpoints(tc.flags, tc.environ)
			if errors.Is(err, ErrNoController) != tc.none {
				t.Fatalf("%v, %v", e, err)
			}
			for service, want := range tc.of {
				if got := e.Of(service); got != want {
					t.Errorf("%s: %s, want %s", service, got, want)
				}
			}
			if e.AWS && (e.RegionOf("iam") != "us-east-1" || e.RegionOf("ecs") == "us-east-1") {
				t.Errorf("regions %s, %s", e.RegionOf("iam"), e.RegionOf("ecs"))
			}
		})
	}
}

func TestFindAWS(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		environ map[string]string
		ecs     string // empty: an error
	}{
		"Amazon": {map[string]string{"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "eu-west-1"}, "https://ecs.eu-west-1.amazonaws.com"},
		"an endpoint": {
			map[string]string{"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s", "AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}, "http://127.0.0.1:4566",
		},
		"no keys":     {map[string]string{"AWS_REGION": "eu-west-1"}, ""},
		"no region":   {map[string]string{"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s"}, ""},
		"no endpoint": {map[string]string{"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s", "AWS_ENDPOINT_URL": "4566"}, ""},
	} {
		e, err := FindAWS(func(name string) string { return tc.environ[name] })
		if (err != nil) != (tc.ecs == "") || err == nil && e.Of("ecs") != tc.ecs {
			t.Errorf("%s: %v, %v", name, e, err)
		}
	}
}
