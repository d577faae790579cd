// Package shapes reads and writes the wire shapes of the AWS operations that we serve. The shapes themselves are
// generated from the official service models, one package a service below this one.
//
// Strings, enums, lists, maps and structures are absent when they are zero (nil for lists and maps: an empty list is
// sent as []). Numbers, booleans and timestamps are pointers, because 0 and false differ from absent.
package shapes
