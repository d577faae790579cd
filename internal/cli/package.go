package cli

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"greengate/internal/lambdahook"
	"greengate/internal/scenario"
)

func (a *app) packageCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "package", GroupID: groupService, Short: "Take scenarios into AWS: hook functions and their policies",
		Long: "Makes of a scenario a Lambda function that is a hook of CodeDeploy or of ECS, and prints the policies that it needs.",
	}
	cmd.AddCommand(a.packageHookCommand(), a.packagePolicyCommand())
	return cmd
}

// packageOptions are the flags of package hook.
type packageOptions struct {
	verifyOptions
	scenario, output, arch, binary string
}

func (a *app) packageHookCommand() *cobra.Command {
	var o packageOptions
	cmd := a.command(spec{
		use: "hook", short: "Make the zip of a hook function out of a scenario",
		long: `Writes a zip for AWS Lambda's runtime provided.al2023. Its bootstrap is a copy of this program, which runs the scenario
and tells the verdict both ways: to CodeDeploy by PutLifecycleEventHookExecutionStatus, to the lifecycle hooks of ECS's own
blue/green deployments by what it returns. The same input makes the same bytes.

The base URL is the function's variable TEST_URL, else BASE_URL, else what --base-url says here; the variable
RELEASE_VERSION goes before --release version=. Secrets are variables of the function, never in the zip.`,
		example: `  greengate package hook --scenario checks/shop.yaml -o hook.zip
  greengate package hook --scenario checks/shop.yaml -o hook.zip --arch arm64 --binary greengate-linux-arm64
  aws lambda create-function --function-name shop-check --runtime provided.al2023 --handler bootstrap --timeout 300 \
    --memory-size 256 --role ROLE_ARN --zip-file fileb://hook.zip --environment 'Variables={TEST_URL=http://…:8080}'`,
		args: cobra.NoArgs,
		run:  func(_ context.Context, _ []string) error { return a.packageHook(o) },
	})
	f := cmd.Flags()
	f.StringVar(&o.scenario, "scenario", "", "scenario file")
	f.StringVarP(&o.output, "output", "o", "hook.zip", "file that gets the zip")
	f.StringVar(&o.baseURL, "base-url", "", "URL that the paths of requests are below")
	f.StringArrayVar(&o.vars, "var", nil, "NAME=VALUE of one of the scenario's vars; repeat for more")
	f.StringArrayVar(&o.release, "release", nil, "what is known of the release under test: version=, revision=, service=, task_set=")
	f.StringVar(&o.allow, "allow", "", "strongest effect of a step: read, write-and-clean or write (default: read where the event says that production traffic has moved, else write)")
	f.StringVar(&o.arch, "arch", "amd64", "processor of the function: amd64 (x86_64) or arm64")
	f.StringVar(&o.binary, "binary", "", "greengate program for Linux on that processor (default: this program)")
	if err := cmd.MarkFlagRequired("scenario"); err != nil {
		panic(err) // the flag is there
	}
	return cmd
}

// packaged is the document of package hook.
type packaged struct {
	File     string `json:"file"`
	Bytes    int    `json:"bytes"`
	Runtime  string `json:"runtime"`
	Arch     string `json:"arch"`
	Scenario string `json:"scenario"`
	Digest   string `json:"digest"`
}

// maxUpload is the largest zip that `aws lambda create-function --zip-file` takes, in bytes (Lambda quotas).
const maxUpload = 50 << 20

func (a *app) packageHook(o packageOptions) error {
	settings, s, err := o.settings()
	if err != nil {
		return err
	}
	program, err := o.program()
	if err != nil {
		return err
	}
	var zipped bytes.Buffer
	if err := lambdahook.Write(&zipped, bytes.NewReader(program), settings); err != nil {
		return err
	}
	if err := os.WriteFile(o.output, zipped.Bytes(), 0o644); err != nil { //nolint:gosec // it holds no secret, and is uploaded
		return fmt.Errorf("write zip: %w", err)
	}
	arch := map[string]string{"amd64": "x86_64"}[o.arch]
	done := packaged{File: o.output, Bytes: zipped.Len(), Runtime: "provided.al2023", Arch: orElse(arch, o.arch), Scenario: s.Name, Digest: s.Digest}
	if a.json {
		return a.out().json(done)
	}
	p := a.out()
	p.line("%s: %.1f MB, runtime %s, architecture %s, %q with %s", done.File, float64(done.Bytes)/1e6, done.Runtime, done.Arch, s.Name, plural(len(s.Files), "file"))
	if done.Bytes > maxUpload {
		a.note().line("it has more than 50 MB: Lambda takes it from a bucket only; make build makes a smaller program")
	}
	return p.err
}

// settings are those of the function. What is wrong with the scenario is said here and not by a failed deployment.
func (o packageOptions) settings() (lambdahook.Settings, *scenario.Scenario, error) {
	var none lambdahook.Settings
	all, err := loadScenarios([]string{o.scenario})
	if err != nil {
		return none, nil, err
	}
	s := all[0]
	checked := o.verifyOptions
	checked.parallel, checked.repeat, checked.allow = 1, 1, orElse(o.allow, string(scenario.EffectWrite))
	run, err := checked.options()
	if err != nil {
		return none, nil, err
	}
	vars, err := o.variables(all)
	if err != nil {
		return none, nil, err
	}
	if err := errors.Join(s.CheckVars(vars), s.Refused(run.Allow)); err != nil {
		return none, nil, usage(err)
	}
	return lambdahook.Settings{
		File: filepath.Base(s.File), Files: s.Files, BaseURL: o.baseURL, Vars: vars, Allow: scenario.Effect(o.allow), Release: run.Release,
	}, s, nil
}

// program reads the program that becomes the bootstrap, and makes sure that it can run there.
func (o packageOptions) program() ([]byte, error) {
	if !slices.Contains([]string{"amd64", "arm64"}, o.arch) {
		return nil, usagef("--arch is amd64 or arm64, not %q", o.arch)
	}
	path, own := o.binary, o.binary == ""
	if own {
		var err error
		if path, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("find this program: %w", err)
		}
	}
	content, err := os.ReadFile(path) //nolint:gosec // the user names it
	if err != nil {
		return nil, usage(fmt.Errorf("read program: %w", err))
	}
	what := "this program"
	if !own {
		what = path
	}
	if err := fits(content, what, o.arch); err != nil {
		return nil, withHint(usage(err), "name a greengate for it with --binary; CGO_ENABLED=0 GOOS=linux GOARCH=%s go build -o FILE ./cmd/greengate makes one", o.arch)
	}
	return content, nil
}

// fits says why a program cannot be the bootstrap on a processor.
func fits(program []byte, what, arch string) error {
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil || info.Main.Path != "greengate" {
		return fmt.Errorf("%s is no greengate program", what)
	}
	built := map[string]string{}
	for _, s := range info.Settings {
		built[s.Key] = s.Value
	}
	switch {
	case built["GOOS"] != "linux" || built["GOARCH"] != arch:
		return fmt.Errorf("%s is built for %s/%s, and the function needs linux/%s", what, built["GOOS"], built["GOARCH"], arch)
	case built["CGO_ENABLED"] != "0":
		return fmt.Errorf("%s is built with cgo, and may not start in provided.al2023", what)
	}
	return nil
}
