package function

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	fnhttp "knative.dev/func-go/http"

	"kbnt.dev/virtualization/config"
	"kbnt.dev/virtualization/functions/intake"
	"kbnt.dev/virtualization/functions/notify"
	"kbnt.dev/virtualization/functions/provision"
)

// Function is what func's HTTP middleware runs: every request but those of the
// two health paths goes to Handle, and Stop comes after the last answer.
type Function interface {
	Handle(http.ResponseWriter, *http.Request)
	Ready(context.Context) (bool, error)
	Alive(context.Context) (bool, error)
	Stop(context.Context) error
}

// New returns the function this instance is to be. The func runtime calls it
// once, before the first request, and offers no way to return an error: a wrong
// configuration ends the process here, where the operator sees it.
func New() Function {
	fnhttp.SetLogLevel(fnhttp.LogDisabled) // func's middleware; its errors come back as values
	f, err := open()
	if err != nil {
		// kbnt: KBNT_FUNCTION="": want intake, provision or notify. One line for each mistake.
		fmt.Fprintln(os.Stderr, "kbnt:", strings.ReplaceAll(err.Error(), "\n", "\nkbnt: "))
		os.Exit(1)
	}
	return f
}

// open reads the environment and makes the function that it names. Nothing is
// connected to.
func open() (Function, error) {
	role, err := config.ReadRole()
	if err != nil {
		return nil, err
	}
	switch role {
	case config.RoleIntake:
		c, err := config.ReadIntake()
		if err != nil {
			return nil, err
		}
		log := start(&c, c.Log)
		f, err := intake.Open(c, log, leaving())
		return instance{f, log}, err
	case config.RoleProvision:
		c, err := config.ReadProvision()
		if err != nil {
			return nil, err
		}
		log := start(&c, c.Log)
		f, err := provision.Open(c, log)
		return instance{f, log}, err
	default:
		c, err := config.ReadNotify()
		if err != nil {
			return nil, err
		}
		log := start(&c, c.Log)
		f, err := notify.Open(c, log)
		return instance{f, log}, err
	}
}

// start makes the log of the process and its first line: all settings, without
// their secrets.
func start(settings slog.LogValuer, l config.ClusterLog) *slog.Logger {
	log := config.Log(l).Logger(os.Stderr)
	slog.SetDefault(log)
	log.Info("start", "settings", settings)
	if strange := config.Ignored(settings); len(strange) > 0 {
		log.Warn("nothing reads these variables", "variables", strange)
	}
	return log
}

// leaving is closed by the signals that make func's middleware wait for the
// requests in progress, for 30 s at most. It tells functions only when that is over,
// which is too late for a request that lasts until somebody ends it.
func leaving() <-chan struct{} {
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM) // for as long as the process lives
	return ctx.Done()
}

// instance is a function that ends in time.
type instance struct {
	Function
	log *slog.Logger
}

// Stop ends the function, or gives up on it when ctx ends: a store that does not
// answer must not keep the process from exiting.
func (i instance) Stop(ctx context.Context) error {
	began, stopped := time.Now(), make(chan error, 1)
	go func() { stopped <- i.Function.Stop(ctx) }()
	select {
	case err := <-stopped:
		i.log.Info("stop", "seconds", time.Since(began).Seconds())
		return err
	case <-ctx.Done():
		return fmt.Errorf("the function did not stop within %s", time.Since(began).Round(time.Second))
	}
}
