package cli

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"greengate/internal/deploy"
)

// RehearseOptions are the settings of greengate rehearse.
type RehearseOptions struct {
	Service deploy.Service
	File    string
	Only    []string          // faults; none are all
	Env     map[string]string // over that of the service
	Load    string            // path that the load asks for
	Minute  time.Duration
	Limit   time.Duration // of one deployment
	Keep    bool
	JUnit   string // file for the results; empty for none
	JSON    bool

	Stdout, Progress io.Writer
}

func (a *app) rehearseCommand() *cobra.Command {
	var o RehearseOptions
	var env []string
	cmd := a.command(spec{
		use: "rehearse", group: groupService, short: "Rehearse the deployment of a service, with faults",
		long: `Runs the whole deployment of a service file in a scratch installation, on free ports and in a folder of its own: the first
deployment, then the same version, changed by a variable, as the new one: without a fault, and with each of several
faults: a new version that never listens, a hook that is silent, one that crashes, one that is slow, a controller that is
killed, a smoke set that fails after the switch. Meanwhile a load on the production listener counts every lost request.

Nothing of a running installation is touched, but the tasks and hooks of the service are run for real: what their
environment names, a database for example, they use. --env gives them another one.

Exit codes: 0 every deployment ended as expected and no request was lost, 4 otherwise, 2 the file is wrong.`,
		example: `  greengate rehearse
  greengate rehearse -f services/checkout.yaml --env DATABASE_URL=postgres://localhost/scratch --junit rehearsal.xml
  greengate rehearse --only smoke-failing --keep`,
		args: cobra.NoArgs,
		run: func(ctx context.Context, _ []string) error {
			return a.rehearse(ctx, o, env)
		},
	})
	fileFlag(cmd, &o.File)
	f := cmd.Flags()
	f.StringSliceVar(&o.Only, "only", nil, "rehearse only this fault; repeat for more")
	f.StringArrayVar(&env, "env", nil, "NAME=VALUE over the environment of the service and of its hooks; repeat for more")
	f.StringVar(&o.Load, "load", "", "path that the load asks for (default: that of the health check, else /)")
	f.DurationVar(&o.Minute, "minute", time.Second, "how long a minute of bake and traffic interval lasts")
	f.DurationVar(&o.Limit, "timeout", 5*time.Minute, "how long one deployment may take")
	f.BoolVar(&o.Keep, "keep", false, "leave the folder of the installation")
	f.StringVar(&o.JUnit, "junit", "", "file that gets the results as JUnit XML")
	return cmd
}

func (a *app) rehearse(ctx context.Context, o RehearseOptions, env []string) error {
	o.Env = map[string]string{}
	for _, pair := range env {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return usagef("--env is NAME=VALUE, not %q", pair)
		}
		o.Env[name] = value
	}
	if o.Minute < time.Millisecond || o.Minute > time.Minute || o.Limit <= 0 {
		return usagef("--minute is between 1ms and 1m, and --timeout above 0s")
	}
	var err error
	if o.Service, err = loadService(o.File); err != nil {
		return err
	}
	o.JSON, o.Stdout, o.Progress = a.json, a.env.Stdout, a.note().w
	return a.roles.Rehearse(ctx, o)
}
