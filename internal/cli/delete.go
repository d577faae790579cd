package cli

import (
	"bufio"
	"context"
	"strings"

	"github.com/spf13/cobra"

	"greengate/internal/deploy"
)

func (a *app) deleteCommand() *cobra.Command {
	var force bool
	cmd := a.command(spec{
		use: "delete SERVICE", group: groupDeploy, short: "Stop a service and forget it",
		long: `Drains a service, stops its tasks and frees its addresses. Its history stays. It asks first; without a terminal, where
nobody can be asked, it needs --force.`,
		example:  "  greengate delete checkout\n  greengate delete checkout --force",
		args:     exactly(1, "the name of a service"),
		complete: a.completeServices,
		run: func(ctx context.Context, args []string) error {
			if err := a.confirm(args[0], force); err != nil {
				return err
			}
			in := deploy.ServiceInput{Name: args[0]}
			if err := a.call(ctx, "DeleteService", in, nil); err != nil {
				return err
			}
			return a.doneWith(in, "%s is deleted", args[0])
		},
	})
	cmd.Flags().BoolVar(&force, "force", false, "do not ask")
	return cmd
}

func (a *app) confirm(name string, force bool) error {
	if force {
		return nil
	}
	if !a.env.StdinTerminal {
		return usagef("delete %s: nobody can be asked here; --force deletes without a question", name)
	}
	p := printer{w: a.env.Stderr}
	p.raw("Stop " + name + " and delete it? Type its name: ")
	answer, err := bufio.NewReader(a.env.Stdin).ReadString('\n')
	if strings.TrimSpace(answer) != name || err != nil {
		return usagef("%s was not deleted", name)
	}
	return p.err
}
