package cli

import (
	"context"
	"encoding/json"
	"os"

	"github.com/spf13/cobra"

	"greengate/internal/deploy"
)

type deployFlags struct {
	waitFlags
	pipelineFlags
	file, description, attach string
	described                 string // file with a service as JSON, for those who alter what a service file says
	force                     bool
}

func (a *app) deployCommand() *cobra.Command {
	var f deployFlags
	cmd := a.command(spec{
		use: "deploy", group: groupDeploy, short: "Deploy the version that a service file describes",
		long: `Starts a deployment of the service file. Without --wait the exit code 0 says that it was accepted. With --wait the
progress is printed until the deployment has ended, and where it is rolled back until that has ended too; then 0 says
that the new version was promoted, and the other codes say where production is (greengate help exit-codes).

An interrupt ends the waiting and not the deployment; --attach ID, or greengate wait ID, comes back to it.

With --appspec it does what CodePipeline's "Amazon ECS (Blue/Green)" action does, against a controller or Amazon itself:
it fills the images into the task definition file, registers it, fills its ARN into the AppSpec file and creates a
deployment of the deployment group. All faults of the files are said before anything is called.`,
		example: `  greengate deploy
  greengate deploy --appspec appspec.yaml --taskdef taskdef.json --image IMAGE1_NAME=registry/shop:7 --wait
  greengate deploy -f services/checkout.yaml --wait --timeout 30m
  greengate deploy --attach d-AB12CD34E`,
		args: cobra.NoArgs,
		run:  func(ctx context.Context, _ []string) error { return a.deploy(ctx, f) },
	})
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error { return pipelineUsage(cmd, &f.pipelineFlags) }
	fileFlag(cmd, &f.file)
	f.waitFlags.register(cmd, true)
	f.pipelineFlags.register(cmd)
	cmd.Flags().BoolVar(&f.force, "force", false, "deploy an unchanged version again")
	cmd.Flags().StringVar(&f.description, "description", "", "a note for the history")
	cmd.Flags().StringVar(&f.attach, "attach", "", "wait for this running deployment instead of starting one")
	cmd.Flags().StringVar(&f.described, "described", "", "deploy the service in this file, as JSON")
	_ = cmd.Flags().MarkHidden("described") // the flag is there
	cmd.MarkFlagsMutuallyExclusive("described", "file", "appspec", "attach")
	cmd.MarkFlagsMutuallyExclusive("attach", "force")
	cmd.MarkFlagsMutuallyExclusive("attach", "description")
	cmd.MarkFlagsMutuallyExclusive("appspec", "file")
	cmd.MarkFlagsMutuallyExclusive("appspec", "attach")
	cmd.MarkFlagsMutuallyExclusive("appspec", "force")
	return cmd
}

func (a *app) deploy(ctx context.Context, f deployFlags) error {
	if f.attach != "" {
		c, err := a.connect()
		if err != nil {
			return err
		}
		defer c.close()
		return a.wait(ctx, c, f.attach, f.waitFlags)
	}
	if f.appspec != "" {
		return a.deployPipeline(ctx, f)
	}
	s, err := f.service()
	if err != nil {
		return err
	}
	c, err := a.connect()
	if err != nil {
		return err
	}
	defer c.close()
	var out deploy.ApplyServiceOutput
	in := deploy.ApplyServiceInput{Service: s, Force: f.force, Description: f.description}
	if err := c.call(ctx, "ApplyService", in, &out); err != nil {
		return err
	}
	if out.DeploymentID == "" {
		return a.nothingToDeploy(s.Name, out)
	}
	return a.startedDeployment(ctx, c, started{id: out.DeploymentID, what: "deployment of " + s.Name, document: out}, f.waitFlags)
}

// service is what is to be deployed.
func (f deployFlags) service() (deploy.Service, error) {
	if f.described == "" {
		return loadService(f.file)
	}
	var s deploy.Service
	content, err := os.ReadFile(f.described)
	if err == nil {
		err = json.Unmarshal(content, &s)
	}
	if err != nil {
		return s, usagef("read service: %w", err)
	}
	return s, nil
}

func (a *app) nothingToDeploy(name string, out deploy.ApplyServiceOutput) error {
	if a.json {
		return a.out().json(out)
	}
	p := a.out()
	if len(out.Changes) > 0 {
		p.line("%s: the settings were changed, the version is the one that runs (--force deploys it again)", name)
	} else {
		p.line("%s is up to date (--force deploys it again)", name)
	}
	return p.err
}

// started is a deployment that a command has just started.
type started struct {
	id, what string
	document any // printed by --json without --wait
}

// startedDeployment says that a deployment has begun, or waits for it.
func (a *app) startedDeployment(ctx context.Context, c *client, s started, f waitFlags) error {
	switch {
	case f.wait:
		a.note().line("started   %s %s", s.what, clean(s.id))
		return a.wait(ctx, c, s.id, f)
	case a.json:
		return a.out().json(s.document)
	case a.quiet:
		p := a.out()
		p.line("%s", clean(s.id))
		return p.err
	}
	p := a.out()
	p.line("started %s %s; follow it with greengate wait %s", s.what, clean(s.id), clean(s.id))
	return p.err
}
