package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"greengate/internal/config"
	"greengate/internal/deploy"
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
	cmd := a.command(spec{
		use: "check", group: groupService, short: "Say what would go wrong with a deployment",
		long: `Reads the service file, which finds every fault that can be seen without a controller (exit code 2), and asks the
controller what else would go wrong: ports in use, hooks that nothing would answer, permissions that are missing. A
finding of level error refuses a deployment, and gives exit code 3. Where no controller is reachable only the file is
checked. Nothing is changed.`,
		example: "  greengate check\n  greengate check -f services/checkout.yaml --json",
		args:    cobra.NoArgs,
		run:     func(ctx context.Context, _ []string) error { return a.check(ctx, file) },
	})
	fileFlag(cmd, &file)
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
		if f.Level == "error" {
			colour = red
		}
		text := oneLine(f.Message)
		if f.Field != "" {
			text = oneLine(f.Field) + ": " + text
		}
		p.line("%s  %s", a.colour(colour, oneLine(f.Level)), text)
		if f.Mend != "" {
			p.line("         %s", oneLine(f.Mend))
		}
	}
	switch {
	case r.Controller != "asked":
		a.note().line("%s is well formed; no controller is reachable, so nothing else was checked", file)
	case len(r.Findings) == 0:
		a.note().line("%s: nothing stands against a deployment of %s", file, r.Service)
	}
	return p.err
}
