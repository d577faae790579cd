package app

import (
	"context"
	"errors"
	"fmt"
	"io"

	"greengate/internal/proxy"
	"greengate/internal/scenario"
	"greengate/internal/shadow"
)

// RunShadow runs the comparison of live traffic that a job describes, and answers the exit code: as that of greengate verify.
func RunShadow(ctx context.Context, args []string, out io.Writer) (int, error) {
	if len(args) != 1 {
		return 1, errors.New("name the job")
	}
	j, err := shadow.ReadJob(args[0])
	if err != nil {
		return 1, err
	}
	client := overUnix(j.Socket)
	defer client.CloseIdleConnections()
	r, err := shadow.Run(ctx, j, proxy.NewHTTPClient(client), out)
	if err != nil {
		return 1, fmt.Errorf("compare live traffic: %w", err)
	}
	switch r.Verdict {
	case scenario.Pass:
		return 0, nil
	case scenario.Fail:
		return 4, nil
	case scenario.Error, scenario.Skipped:
	}
	return 5, nil
}
