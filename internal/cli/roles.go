package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"greengate/internal/config"
)

// Roles are the parts of the program that are no client. A nil one is no command. An error that has a method
// ExitCode() int chooses the exit code.
type Roles struct {
	Serve func(context.Context, ServeOptions) error
	Demo  func(context.Context, DemoOptions) error
	// Rehearse prints what came of it; its error says that it was not as expected.
	Rehearse func(context.Context, RehearseOptions) error
	// Controller, Proxy and Runner are started by serve, or by systemd. Their arguments are their own.
	Controller, Proxy, Runner func(context.Context, RoleOptions) error
}

// ServeOptions are the settings of greengate serve, validated.
type ServeOptions struct {
	config.Serve
	Stdout, Stderr io.Writer
}

// DemoOptions are the settings of greengate demo.
type DemoOptions struct {
	JSON           string // file for the results; empty for none
	Stdout, Stderr io.Writer
}

// RoleOptions are what a role gets: its arguments, unread, and the outside world.
type RoleOptions struct {
	Args           []string
	Environ        func(string) string
	Stdout, Stderr io.Writer
}

func (a *app) roleCommands() []*cobra.Command {
	var commands []*cobra.Command
	if a.roles.Serve != nil {
		commands = append(commands, a.serveCommand())
	}
	if a.roles.Demo != nil {
		commands = append(commands, a.demoCommand())
	}
	if a.roles.Rehearse != nil {
		commands = append(commands, a.rehearseCommand())
	}
	for _, r := range []struct {
		name, does string
		run        func(context.Context, RoleOptions) error
	}{
		{"controller", "the API, the engine and the store", a.roles.Controller},
		{"proxy", "the data plane", a.roles.Proxy},
		{"runner", "the supervisor of tasks and functions", a.roles.Runner},
	} {
		if r.run != nil {
			commands = append(commands, a.roleCommand(r.name, r.does, r.run))
		}
	}
	return commands
}

func (a *app) roleCommand(name, does string, run func(context.Context, RoleOptions) error) *cobra.Command {
	cmd := a.command(spec{
		use: name, short: "Run " + does,
		long:    "Runs " + does + ". This role is started by greengate serve, or as a unit of systemd, and not by hand.",
		example: "  greengate serve",
		args:    cobra.ArbitraryArgs,
		run: func(ctx context.Context, args []string) error {
			return run(ctx, RoleOptions{Args: args, Environ: a.env.Getenv, Stdout: a.env.Stdout, Stderr: a.env.Stderr})
		},
	})
	cmd.Hidden = true
	cmd.DisableFlagParsing = true
	return cmd
}

func (a *app) demoCommand() *cobra.Command {
	var file string
	cmd := a.command(spec{
		use: "demo", group: groupRun, short: "See four deployments under load, in a minute",
		long: `Deploys four versions of a bundled service under continuous load, on this machine and in a folder of its own: the first
one; one that is verified and promoted; one that its hook catches before any production traffic; and one that fails after
the switch and is rolled back. It prints the timeline, every verdict and the ledger. The exit code is 0 only if all of
that happened and no request failed.`,
		example: "  greengate demo\n  greengate demo --json results.json",
		args:    cobra.NoArgs,
		run: func(ctx context.Context, _ []string) error {
			return a.roles.Demo(ctx, DemoOptions{JSON: file, Stdout: a.env.Stdout, Stderr: a.env.Stderr})
		},
	})
	cmd.Flags().StringVar(&file, "json", "", "write the results to this file")
	return cmd
}
