package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"greengate/internal/trial"
)

// startLoad keeps the sample service busy with reads and orders.
func startLoad(ctx context.Context, base string) *trial.Load {
	return trial.StartLoad(ctx, base, trial.Pace{Workers: 8, Pause: 2 * time.Millisecond},
		trial.Shot{Method: http.MethodGet, Path: "/version", Judge: func(status int, body string) (string, error) {
			return strings.TrimSpace(body), refused(status, body)
		}},
		trial.Shot{Method: http.MethodPost, Path: "/orders", Body: `{"quantity": 1}`, Judge: func(status int, body string) (string, error) {
			if err := refused(status, body); err != nil {
				return "", err
			}
			return orderVersion(body)
		}},
	)
}

func refused(status int, body string) error {
	if status >= http.StatusBadRequest {
		return fmt.Errorf("status %d: %s", status, body)
	}
	return nil
}

func orderVersion(body string) (string, error) {
	_, rest, ok := strings.Cut(body, `"version":"`)
	version, _, closed := strings.Cut(rest, `"`)
	if !ok || !closed {
		return "", errors.New("the answer has no version: " + body)
	}
	return version, nil
}
