package hook

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"greengate/internal/deploy"
	"greengate/internal/runner"
)

// cleanupLimit is how long the cleanup of a scenario that was killed may take: its own limit, and some time to begin and end.
const cleanupLimit = time.Minute

// cleanUp runs the cleanup of a scenario that was killed before it could, as a unit of its own and so at most once, and says in
// the verdict what became of it. Where nothing is to be cleaned it does nothing.
func (h *Hooks) cleanUp(ctx context.Context, id string, call deploy.HookCall, v *deploy.Verdict) error {
	if _, err := os.Lstat(h.cleanupResult(id)); err != nil {
		if _, err := os.Lstat(h.checkpoint(id)); err != nil {
			return nil //nolint:nilerr // the scenario wrote nothing, or cleaned up by itself
		}
		if err := h.runCleanup(ctx, id, call); err != nil {
			return err
		}
	}
	r, err := readResult(h.cleanupResult(id))
	if err != nil {
		v.Message += "; the run was killed, and what became of its cleanup is not known: " + err.Error()
		return nil //nolint:nilerr // the verdict says so
	}
	v.Message += "; " + Mask(r.Message, call)
	v.Checks = append(v.Checks, checks(r, call)...)
	return nil
}

func (h *Hooks) runCleanup(ctx context.Context, id string, call deploy.HookCall) error {
	spec := h.unit(id, call)
	spec.ID += CleanupSuffix
	spec.Digest, spec.Timeout = spec.ID, cleanupLimit
	spec.Command = []string{h.cfg.Executable, "verify", "--hook-cleanup", h.job(id)}
	_, err := h.cfg.Runner.Ensure(ctx, spec)
	if errors.Is(err, runner.ErrPermanent) {
		return nil // the verdict says that it is not known
	}
	if err != nil {
		return fmt.Errorf("start cleanup of hook %s: %w", call.Hook.Name, err)
	}
	if _, err := h.cfg.Runner.Wait(ctx, spec.ID); err != nil && !errors.Is(err, runner.ErrNotFound) {
		return fmt.Errorf("await cleanup of hook %s: %w", call.Hook.Name, err)
	}
	return nil
}
