package app

import (
	"context"

	"greengate/internal/cloud"
	"greengate/internal/store"
)

// resources lets cloud keep its resources in the store.
type resources struct{ db *store.DB }

// List implements cloud.Resources.
func (r resources) List(ctx context.Context, kind string) ([]cloud.Record, error) {
	list, err := r.db.ListResources(ctx, kind)
	if err != nil {
		return nil, err
	}
	records := make([]cloud.Record, len(list))
	for i, res := range list {
		records[i] = cloud.Record{Kind: res.Kind, Name: res.Name, Version: res.Version, Data: res.Data}
	}
	return records, nil
}

// Put implements cloud.Resources.
func (r resources) Put(ctx context.Context, writes []cloud.Write) ([]int64, error) {
	list := make([]store.Write, len(writes))
	for i, w := range writes {
		list[i] = store.Write{Kind: w.Kind, Name: w.Name, Expect: w.Version, Data: w.Data, Delete: w.Delete}
	}
	return r.db.PutResources(ctx, list)
}
