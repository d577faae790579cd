package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"greengate/internal/config"
)

func (a *app) serveCommand() *cobra.Command {
	s, bad := config.ServeDefaults(a.env.Getenv)
	cmd := a.command(spec{
		use: "serve", group: groupRun, short: "Run Greengate on this machine",
		long: `Runs the controller, the data plane and the runner, and keeps them running. It writes the keys for clients into the data
folder and prints one line when it is ready. SIGTERM ends the control plane and leaves services and traffic running;
greengate down ends everything.

Each flag has a variable: GREENGATE_DATA, GREENGATE_LISTEN, GREENGATE_REGION, GREENGATE_ACCOUNT_ID, GREENGATE_MINUTE,
GREENGATE_COMPAT, GREENGATE_LOAD_BALANCERS, GREENGATE_NOTIFY, GREENGATE_HOOKS, GREENGATE_EPHEMERAL. The flag wins.`,
		example: "  greengate serve\n  greengate serve --data /var/lib/greengate --listen 127.0.0.1:4566\n  greengate serve --ephemeral --minute 1s\n  greengate serve --compat aws",
		args:    cobra.NoArgs,
		run: func(ctx context.Context, _ []string) error {
			if bad != nil {
				return usage(bad)
			}
			if a.flags.Data != "" {
				s.Data = a.flags.Data
			}
			settings, err := s.Validate()
			if err != nil {
				return usage(fmt.Errorf("settings of serve: %w", err))
			}
			if settings.Hooks != "" { // here alone: a controller that starts again serves also while the file is being edited
				if _, err := config.LoadHooks(settings.Hooks); err != nil {
					return usage(fmt.Errorf("settings of serve: hooks: %w", err))
				}
			}
			return a.roles.Serve(ctx, ServeOptions{Serve: settings, Stdout: a.env.Stdout, Stderr: a.env.Stderr})
		},
	})
	f := cmd.Flags()
	f.StringVar(&s.Listen, "listen", s.Listen, "address of the API, IP:port")
	f.StringVar(&s.Region, "region", s.Region, "region of our resources")
	f.StringVar(&s.AccountID, "account-id", s.AccountID, "account of our resources, 12 digits")
	f.DurationVar(&s.Minute, "minute", s.Minute, "how long a minute of the wire lasts, for trials")
	f.StringVar(&s.Compat, "compat", s.Compat, "\"aws\": where Greengate differs from AWS on purpose, do as AWS does")
	f.StringVar(&s.LoadBalancers, "load-balancers", s.LoadBalancers, "network whose addresses load balancers of the ELBv2 API get")
	f.StringVar(&s.Notify, "notify", s.Notify, "file of receivers of notices, a line each: \"webhook URL\" or \"slack URL\"")
	f.StringVar(&s.Hooks, "hooks", s.Hooks, "file of hooks that AppSpec files name as scenario:NAME, command:NAME and task:NAME")
	f.BoolVar(&s.Ephemeral, "ephemeral", s.Ephemeral, "stop everything, tasks included, when serve ends")
	return cmd
}
