// Command callsign is the daemon, its demo, and the operator's command line. It alone knows all the rooms: it reads flags,
// configuration and environment, builds each room and hands it what it needs.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // policies name time zones, on machines that may have none
	"unicode/utf8"

	"github.com/alecthomas/kong"
	"github.com/emiago/sipgo/sip"
)

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // what was asked for did not work; the error says why
	exitUsage  = 2 // the command line or the configuration can't be used as it is
)

// usageError is an error of whoever wrote the command line or the configuration.
type usageError struct{ error }

// surroundings are what a command has of the world around it.
type surroundings struct {
	ctx            context.Context
	stdout, stderr io.Writer
	environ        []string
}

type cli struct {
	Demo       demoCommand       `cmd:"" help:"All on this machine: the application server, an SMSC, an IM system, a caller and a callee."`
	Serve      serveCommand      `cmd:"" help:"The daemon."`
	Config     configCommand     `cmd:"" help:"Print the commented default configuration, or check a file."`
	Migrate    migrateCommand    `cmd:"" help:"Bring the store's schema up to date (serve does it too)."`
	Subscriber subscriberCommand `cmd:"" help:"Subscribers: put, get, list, remove, data, erase."`
	Account    accountCommand    `cmd:"" help:"IM accounts of subscribers: put, link, links, withdraw, list, remove, resync."`
	Signature  signatureCommand  `cmd:"" help:"Signatures: put, get."`
	Key        keyCommand        `cmd:"" help:"API keys: create, list, rotate, remove."`
	Policy     policyCommand     `cmd:"" help:"What is shown to whom, and when: get, put, remove, as YAML."`
	Review     reviewCommand     `cmd:"" help:"Texts that wait for approval: list, approve, reject."`
	Audit      auditCommand      `cmd:"" help:"Show who asked for which change, newest first."`
	Provider   providerCommand   `cmd:"" help:"IM networks that are read: list, test, status."`
	Call       callCommand       `cmd:"" help:"Place a test call through a running application server and tell what its caller would see."`
	IFC        ifcCommand        `cmd:"" name:"ifc" help:"Filter criteria for an HSS: print them, or check some."`
	SMSC       smscCommand       `cmd:"" name:"smsc" help:"The SMSC simulator: prints and serves what each handset shows."`
	Version    versionCommand    `cmd:"" help:"Print the version."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)                        // who asks twice doesn't want to wait
	sip.SetDefaultLogger(slog.New(slog.DiscardHandler)) // sipgo's, which only test phones use
	defer stop()
	os.Exit(run(surroundings{ctx, os.Stdout, os.Stderr, os.Environ()}, os.Args[1:]))
}

// run runs one command line and maps its error to an exit code.
func run(s surroundings, args []string) int {
	parser, err := kong.New(&cli{}, kong.Name("callsign"), kong.Writers(s.stdout, s.stderr),
		kong.Description("Who you call tells you something: shows callers the IM signature of whom they call, while it rings."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	if err != nil {
		fmt.Fprintln(s.stderr, "callsign:", err)
		return exitFailed
	}
	for _, a := range args { // the flag parser and JSON would replace what isn't in silence
		if !utf8.ValidString(a) {
			fmt.Fprintf(s.stderr, "callsign: %q is not UTF-8: set your terminal to UTF-8 and try again\n", a)
			return exitUsage
		}
	}
	command, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(s.stderr, "callsign: %v\nTry callsign --help.\n", err)
		return exitUsage
	}
	err = command.Run(s)
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		fmt.Fprintln(s.stderr, "callsign:", err)
		return exitUsage
	default:
		fmt.Fprintln(s.stderr, "callsign:", err)
		return exitFailed
	}
}

type configCommand struct {
	Check string `placeholder:"FILE" help:"Check this file instead."`
}

// Run prints the default configuration, or says what is wrong with a file.
func (c configCommand) Run(s surroundings) error {
	if c.Check == "" {
		return printConfig(s.stdout, defaultConfig())
	}
	config, err := loadConfig(c.Check, s.environ)
	if err != nil {
		return usageError{err}
	}
	for _, w := range warnings(&config) {
		fmt.Fprintf(s.stdout, "%s: warning: %s: %s: %s\n", c.Check, w.Part, w.Problem, w.Do)
	}
	_, err = fmt.Fprintf(s.stdout, "%s: it can be used\n", c.Check)
	return err
}
