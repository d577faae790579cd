package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/spf13/cobra"

	"greengate/internal/config"
)

func (a *app) initCommand() *cobra.Command {
	var file, name string
	cmd := a.command(spec{
		use: "init", group: groupService, short: "Write a commented greengate.yaml",
		long: `Writes a service file with every setting explained. It loads as it is and describes a small web server with one
verification, so that you can try everything before you put your own program in. An existing file is never replaced.`,
		example: "  greengate init\n  greengate init --name checkout -f services/checkout.yaml",
		args:    cobra.NoArgs,
		run: func(context.Context, []string) error {
			return a.writeTemplate(file, name)
		},
	})
	fileFlag(cmd, &file)
	cmd.Flags().StringVar(&name, "name", "", "name of the service (default: that of the folder)")
	return cmd
}

func fileFlag(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVarP(to, "file", "f", config.DefaultFile, "the service file")
	if err := cmd.MarkFlagFilename("file", "yaml", "yml"); err != nil {
		panic(err) // the flag is registered on the line above
	}
}

func (a *app) writeTemplate(file, name string) error {
	if name == "" {
		folder, err := filepath.Abs(filepath.Dir(file))
		if err != nil {
			return fmt.Errorf("resolve folder of %s: %w", file, err)
		}
		name = filepath.Base(folder)
	}
	name = config.ServiceName(name)
	err := config.WriteTemplate(file, name)
	if errors.Is(err, fs.ErrExist) {
		return withHint(usagef("%s exists already", file), "-f names another file; greengate check looks at the one you have")
	}
	if err != nil {
		return err
	}
	if a.json {
		return a.out().json(map[string]string{"file": file, "name": name})
	}
	p := a.note()
	p.line("%s describes the service %s. Next: greengate check, greengate deploy --wait", file, name)
	return p.err
}
