// Package notify delivers the messages of topics to their subscribers as SNS does: signed JSON documents, POSTed to http
// and https endpoints, in order, until a subscriber has taken each.
//
// A message is stored before anybody is told that it was taken, and forgotten after its subscriber has answered 2xx. A
// controller that dies between the two sends it again with the same MessageId: delivery is at least once, as on AWS.
package notify
