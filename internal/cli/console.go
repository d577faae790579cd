package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"greengate/internal/deploy"
)

func (a *app) consoleCommand() *cobra.Command {
	return a.command(spec{
		use: "console", group: groupLook, short: "Print a link that signs in to the console once",
		long: `Prints the address of the console with a key in it that signs in whoever uses it first, within five minutes, as the one who
ran this command. Without it one signs in with an access key and its secret.`,
		example: "  greengate console\n  xdg-open \"$(greengate console)\"",
		args:    cobra.NoArgs,
		run: func(ctx context.Context, _ []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			defer c.close()
			var link deploy.ConsoleLinkOutput
			if err := c.call(ctx, "CreateConsoleLink", struct{}{}, &link); err != nil {
				return err
			}
			url := strings.TrimRight(c.creds.Endpoint, "/") + link.Path
			p := a.out()
			if a.json {
				return p.json(map[string]any{"url": url, "expires": link.Expires})
			}
			p.line("%s", url)
			return p.err
		},
	})
}
