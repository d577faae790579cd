// Package console holds what people do with the console, in a real Chromium, against the real binary with real tasks,
// hooks and traffic.
package console
