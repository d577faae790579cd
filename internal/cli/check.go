package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"greengate/internal/config"
	"greengate/internal/deploy"
	"greengate/internal/preflight"
)

// checkResult is the document of check.
type checkResult struct {
	Service string `json:"service"`
	// Controller says whether the controller was asked, "asked" or "unreachable".
	Controller string           `json:"controller"`
	Findings   []deploy.Finding `json:"findings"`
}

func (a *app) checkCommand() *cobra.Command {
	var file string
	var pipeline pipelineFlags
	cmd := a.command(spec{
		use: "check", group: groupService, short: "Say what would go wrong with a deployment",
		long: `Reads the service file, which finds every fault that can be seen without a controller (exit code 2), and asks the
controller what else would go wrong: ports in use, hooks that nothing would answer, permissions that are missing. A
finding of level error refuses a deployment, and gives exit code 3. Where no controller is reachable only the file is
checked. Nothing is changed.

With --appspec it looks at what greengate deploy --appspec would deploy: the AppSpec file and the task definition, and
what the deployment would meet: the service, target groups and listeners, alarms, the hooks' functions, the service role's
permission to invoke them and theirs to report, and which version the test listener serves to each hook. Each finding
says where it is and how to mend it. Faults of these files are findings as well.`,
		example: "  greengate check\n  greengate check -f services/checkout.yaml --json\n" +
			"  greengate check --appspec appspec.yaml --taskdef taskdef.json --image IMAGE1_NAME=registry/shop:7",
		args: cobra.NoArgs,
		run: func(ctx context.Context, _ []string) error {
			if pipeline.appspec != "" {
				return a.checkPipeline(ctx, pipeline)
			}
			return a.check(ctx, file)
		},
	})
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error { return pipelineUsage(cmd, &pipeline) }
	fileFlag(cmd, &file)
	pipeline.register(cmd)
	cmd.Flags().BoolVar(&pipeline.aws, "aws", false, "with --appspec: ask the account of the environment's AWS keys, or AWS_ENDPOINT_URL")
	cmd.MarkFlagsMutuallyExclusive("appspec", "file")
	return cmd
}

func (a *app) check(ctx context.Context, file string) error {
	s, err := loadService(file)
	if err != nil {
		return err
	}
	result := checkResult{Service: s.Name, Controller: "asked", Findings: []deploy.Finding{}}
	var out deploy.CheckServiceOutput
	err = a.call(ctx, "CheckService", deploy.CheckServiceInput{Service: s}, &out)
	_, unreachable := errors.AsType[*unreachableError](err)
	switch {
	case unreachable || errors.Is(err, config.ErrNoController):
		result.Controller = "unreachable"
	case err != nil:
		return err
	}
	result.Findings = append(result.Findings, out.Findings...)
	if err := a.printFindings(file, result); err != nil {
		return err
	}
	for _, f := range result.Findings {
		if f.Level == "error" {
			return exitWith(ExitRefused)
		}
	}
	return nil
}

func (a *app) printFindings(file string, r checkResult) error {
	if a.json {
		return a.out().json(r)
	}
	p := a.out()
	for _, f := range r.Findings {
		colour := yellow
		switch f.Level {
		case preflight.LevelError:
			colour = red
		case preflight.LevelNote:
			colour = green
		}
		text := oneLine(f.Message)
		if f.Field != "" {
			text = oneLine(f.Field) + ": " + text
		}
		if f.Where != "" {
			text = oneLine(f.Where) + ": " + text
		}
		p.line("%s  %s", a.colour(colour, oneLine(f.Level)), text)
		if f.Mend != "" {
			p.line("         %s", oneLine(f.Mend))
		}
	}
	switch {
	case r.Controller != "asked":
		what := "is well formed"
		if len(r.Findings) > 0 {
			what = "was read"
		}
		a.note().line("%s %s; no controller is reachable, so nothing else was checked", file, what)
	case len(r.Findings) == 0:
		a.note().line("%s: nothing stands against a deployment of %s", file, r.Service)
	}
	return p.err
}
