package cli

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"greengate/internal/config"
)

func (a *app) envCommand() *cobra.Command {
	var unset bool
	cmd := a.command(spec{
		use: "env", group: groupRun, short: "Print what points AWS tools at the controller",
		long: `Prints shell exports of the endpoint, the keys and the region, so that aws, boto3, the SDKs and Terraform speak with
this controller. --unset prints what takes them away again. The secret key is printed: do not let it go into a log.`,
		example: "  eval \"$(greengate env)\"\n  eval \"$(greengate env --unset)\"",
		args:    cobra.NoArgs,
		run: func(context.Context, []string) error {
			if unset {
				return a.printUnset()
			}
			return a.printExports()
		},
	})
	cmd.Flags().BoolVar(&unset, "unset", false, "print what takes the variables away")
	return cmd
}

// exports are the variables in the order in which they are printed.
func exports(c config.Credentials) [][2]string {
	return [][2]string{
		{"AWS_ENDPOINT_URL", c.Endpoint},
		{"AWS_ACCESS_KEY_ID", c.AccessKeyID},
		{"AWS_SECRET_ACCESS_KEY", c.SecretAccessKey},
		{"AWS_REGION", c.Region},
		{"AWS_DEFAULT_REGION", c.Region},
	}
}

func (a *app) printExports() error {
	dir, err := config.DataDir(a.flags.Data, a.env.Getenv)
	if err != nil {
		return err
	}
	c, err := config.ReadCredentials(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return &exitError{ExitUnreachable, withHint(err, "start greengate serve with this data folder, or name another with --data")}
	}
	if err != nil {
		return err
	}
	if c.Region == "" {
		c.Region = config.DefaultRegion
	}
	if a.flags.Endpoint != "" {
		c.Endpoint = a.flags.Endpoint
	}
	p := a.out()
	if a.json {
		document := map[string]string{}
		for _, e := range exports(c) {
			document[e[0]] = e[1]
		}
		return p.json(document)
	}
	// A token that was left over would belong to other keys.
	p.line("unset AWS_SESSION_TOKEN")
	for _, e := range exports(c) {
		p.line("export %s=%s", e[0], quote(e[1]))
	}
	return p.err
}

func (a *app) printUnset() error {
	p := a.out()
	for _, e := range exports(config.Credentials{}) {
		p.line("unset %s", e[0])
	}
	return p.err
}

// quote makes one word of any text for a POSIX shell.
func quote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
