package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"greengate/internal/config"
	"greengate/internal/deploy"
)

// Env is the outside world of a command.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	Now            func() time.Time
	// StdoutTerminal and StdinTerminal say whether a person is there: to redraw a line, to be asked.
	StdoutTerminal, StdinTerminal bool
	// Width is that of the terminal in columns; 0 is 80.
	Width int
	// Version is shown by greengate version.
	Version string
}

// app is one run of the program.
type app struct {
	env   Env
	roles Roles
	root  *cobra.Command
	// started is set when a command begins to run: errors before that are of the command line.
	started bool

	flags config.ClientFlags
	json  bool
	quiet bool
}

// New returns the whole command tree. Execute is the way to run it; New is for those who write about it.
func New(env Env, roles Roles) *cobra.Command { return newApp(env, roles).root }

// Execute runs a command line (without the program's name), prints its error and hint, and returns the exit code. The
// end of ctx is an interrupt: a wait stops waiting, serve shuts down.
func Execute(ctx context.Context, env Env, roles Roles, args []string) int {
	a := newApp(env, roles) //nolint:contextcheck // commands take the context of ExecuteContext, below
	a.root.SetArgs(args)
	err := a.root.ExecuteContext(ctx)
	if err != nil && !a.started {
		if _, ok := errors.AsType[*exitError](err); !ok {
			err = withHint(usage(err), "%s --help", a.commandFor(args))
		}
	}
	a.report(err)
	return codeOf(err)
}

// commandFor is the command that the arguments came nearest to.
func (a *app) commandFor(args []string) string {
	c, _, err := a.root.Find(args)
	if err != nil || c == nil {
		return a.root.CommandPath()
	}
	return c.CommandPath()
}

func (a *app) report(err error) {
	if err == nil {
		return
	}
	if e, ok := errors.AsType[*exitError](err); ok && e.err == nil {
		return
	}
	p := printer{w: a.env.Stderr}
	p.line("greengate: error: %s", clean(err.Error()))
	if hint := hintOf(err); hint != "" && !a.quiet {
		p.line("greengate: hint: %s", clean(hint))
	}
}

func newApp(env Env, roles Roles) *app {
	if env.Width <= 0 {
		env.Width = 80
	}
	a := &app{env: env, roles: roles}
	a.root = &cobra.Command{
		Use:   "greengate",
		Short: "Verified blue/green deployments",
		Long: `Greengate ships a new version of a service beside the running one, proves it end to end on a test address, moves
production traffic only when the proof holds, and goes back by itself when it does not.

Begin with: greengate init, greengate serve, greengate deploy --wait`,
		Example:       "  greengate init\n  greengate serve &\n  greengate deploy --wait",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	a.root.SetIn(env.Stdin)
	a.root.SetOut(env.Stdout)
	a.root.SetErr(env.Stderr)
	f := a.root.PersistentFlags()
	f.StringVar(&a.flags.Data, "data", "", "data folder of the controller (default $GREENGATE_DATA, else ./.greengate)")
	f.StringVar(&a.flags.Endpoint, "endpoint", "", "URL of the controller (default: what the data folder says)")
	f.BoolVar(&a.json, "json", false, "print JSON")
	f.BoolVarP(&a.quiet, "quiet", "q", false, "print results and errors only")
	a.root.AddGroup(
		&cobra.Group{ID: groupService, Title: "Describe a service:"},
		&cobra.Group{ID: groupDeploy, Title: "Deploy it:"},
		&cobra.Group{ID: groupLook, Title: "See what happens:"},
		&cobra.Group{ID: groupRun, Title: "Run Greengate:"},
	)
	a.root.SetHelpCommandGroupID(groupRun)
	a.root.SetCompletionCommandGroupID(groupRun)
	a.root.AddCommand(
		a.initCommand(), a.checkCommand(), a.planCommand(), a.verifyCommand(),
		a.packageCommand(), a.watchCommand(),
		a.deployCommand(), a.waitCommand(), a.continueCommand(), a.stopCommand(), a.rollbackCommand(),
		a.scaleCommand(), a.restartCommand(), a.deleteCommand(), a.hookCommand(),
		a.listCommand(), a.statusCommand(), a.consoleCommand(), a.historyCommand(), a.eventsCommand(), a.logsCommand(),
		a.envCommand(), a.downCommand(), a.versionCommand(), exitCodesTopic(),
	)
	a.root.AddCommand(a.roleCommands()...)
	return a
}

const (
	groupService = "service"
	groupDeploy  = "deploy"
	groupLook    = "look"
	groupRun     = "run"
)

// spec is what every command says about itself.
type spec struct {
	use, group           string
	short, long, example string
	args                 cobra.PositionalArgs
	complete             completion
	run                  func(ctx context.Context, args []string) error
}

func (a *app) command(s spec) *cobra.Command {
	return &cobra.Command{
		Use: s.use, GroupID: s.group, Short: s.short, Long: s.long, Example: s.example,
		Args: s.args, ValidArgsFunction: s.complete,
		RunE: func(cmd *cobra.Command, args []string) error {
			a.started = true
			return s.run(cmd.Context(), args)
		},
	}
}

// connect finds the controller. The caller closes the client.
func (a *app) connect() (*client, error) {
	creds, err := config.FindController(a.flags, a.env.Getenv)
	if err != nil {
		return nil, err
	}
	return newClient(creds, a.env.Now), nil
}

// call connects, does one action and disconnects.
func (a *app) call(ctx context.Context, action string, in, out any) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	defer c.close()
	return c.call(ctx, action, in, out)
}

// out prints results, note prints what --quiet suppresses. With --json notes go where they do not disturb the document.
func (a *app) out() *printer { return &printer{w: a.env.Stdout} }

func (a *app) note() *printer {
	switch {
	case a.quiet:
		return &printer{w: io.Discard}
	case a.json:
		return &printer{w: a.env.Stderr}
	}
	return &printer{w: a.env.Stdout}
}

// loadService reads a service file. One that cannot be read is bad input.
func loadService(path string) (deploy.Service, error) {
	s, err := config.LoadService(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, withHint(usage(err), "greengate init writes one; -f names another file")
	}
	if fe, ok := errors.AsType[*config.FileError](err); ok {
		return s, usagef("%s has %s\n%w", path, plural(len(fe.Faults), "fault"), fe)
	}
	if err != nil {
		return s, usage(err)
	}
	return s, nil
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// colourful reports whether results go to a terminal that wants colours.
func (a *app) colourful() bool {
	return a.env.StdoutTerminal && !a.json && config.Colour(a.env.Getenv)
}

func atMost(n int) cobra.PositionalArgs { return cobra.MaximumNArgs(n) }

func exactly(n int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != n {
			return fmt.Errorf("give %s", what)
		}
		return nil
	}
}
