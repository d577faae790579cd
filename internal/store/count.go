package store

import (
	"context"
	"fmt"

	"greengate/internal/deploy"
)

// Statuses counts the deployments that are stored, by status.
func (db *DB) Statuses(ctx context.Context) (map[deploy.Status]int64, error) {
	counts := map[deploy.Status]int64{}
	err := db.each(ctx, `SELECT status, count(*) FROM deployments GROUP BY status`, nil, func(scan scanFunc) error {
		var status deploy.Status
		var n int64
		if err := scan(&status, &n); err != nil {
			return err
		}
		counts[status] = n
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("count deployments: %w", err)
	}
	return counts, nil
}
