package stream

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/events"
)

// Streams.
const (
	Intake = "INTAKE"
	Wait   = "WAIT"
	Mail   = "MAIL"
	Audit  = "AUDIT"
	Dead   = "DEAD"
	Secret = "SECRET"
)

// Buckets.
const (
	BucketClaims   = "claims"
	BucketLetters  = "letters"
	BucketSessions = "sessions"
	BucketLimits   = "limits"
	BucketPINs     = "pins"
)

const (
	durableMail   = "mail"
	durableUrgent = "urgent"
	durableDue    = "due"
	durableAccess = "access"

	holdMail = "mail.hold."
	holdWait = "wait.hold."
	dueWait  = "wait.due."
)

// bucketStream is the stream behind a key-value bucket.
func bucketStream(bucket string) string { return "KV_" + bucket }

func bucketSubject(bucket, key string) string { return "$KV." + bucket + "." + key }

// streamOf answers the stream that takes what is published on a subject.
func streamOf(subject string) (string, bool) {
	switch firstToken(subject) {
	case "hr", "admissions", "it", "portal":
		return Intake, true
	case "mail":
		return Mail, letterTemplate(subject) // what no durable takes would lie there unseen
	case "audit":
		return Audit, true
	case "wait":
		return Wait, true
	case "dead":
		return Dead, true
	case "secret":
		return Secret, true
	}
	return "", false
}

// streamConfigs are the streams as they should be, buckets included.
func streamConfigs(s Settings) []jetstream.StreamConfig {
	configs := []jetstream.StreamConfig{
		intakeConfig(s),
		{
			// Schedules forbid discard-new, so nothing here has a limit that
			// could discard: one message per subject, the last one wins.
			Name: Wait, Subjects: []string{"wait.>"}, Description: "what is not due yet",
			Retention: jetstream.WorkQueuePolicy, MaxMsgsPerSubject: 1, AllowMsgSchedules: true, AllowRollup: true, AllowAtomicPublish: true,
		},
		{
			Name: Mail, Subjects: []string{"mail.>"}, Description: "letters that are due",
			Retention: jetstream.WorkQueuePolicy, MaxMsgsPerSubject: 1, AllowMsgSchedules: true, AllowRollup: true, AllowAtomicPublish: true,
			Duplicates: 10 * time.Minute,
		},
		{
			// One subject per fact and no second message on it: the server
			// refuses what is told twice, however much later.
			Name: Audit, Subjects: []string{"audit.>"}, Description: "facts for IT",
			Discard: jetstream.DiscardNew, MaxMsgsPerSubject: 1, DiscardNewPerSubject: true, MaxAge: s.AuditAge, AllowAtomicPublish: true, AllowDirect: true,
		},
		{
			Name: Dead, Subjects: []string{"dead.>"}, Description: "what could not be handled",
			Discard: jetstream.DiscardNew, MaxMsgsPerSubject: 1, DiscardNewPerSubject: true, MaxAge: s.DeadAge,
		},
		secretConfig(s),
		bucketConfig(BucketClaims, 0, false),
		bucketConfig(BucketLetters, s.LettersAge, false),
		bucketConfig(BucketSessions, s.SessionTTL, true),
		bucketConfig(BucketLimits, s.LimitTTL, false),
		bucketConfig(BucketBrake, 0, false),
		bucketConfig(BucketPINs, s.PINAge, false),
	}
	for i := range configs {
		complete(&configs[i], s)
	}
	return configs
}

// intakeConfig takes exactly four tokens. A looser subject would be stored by
// the stream and skipped by the transform: acknowledged, in no partition, and
// seen by no worker.
func intakeConfig(s Settings) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: Intake, Subjects: []string{"hr.*.*.*", "admissions.*.*.*", "it.*.*.*", "portal.*.*.*"}, Description: "what the sources publish",
		SubjectTransform: &jetstream.SubjectTransformConfig{
			Source:      "*.*.*.*",
			Destination: fmt.Sprintf("p.{{partition(%d,4)}}.{{wildcard(1)}}.{{wildcard(2)}}.{{wildcard(3)}}.{{wildcard(4)}}", Partitions),
		},
		Discard: jetstream.DiscardNew, MaxAge: s.IntakeAge, MaxMsgSize: s.IntakeMsgSize, Duplicates: time.Hour, AllowDirect: true,
	}
}

// bucketConfig is a key-value bucket that also takes atomic batches. Rollups
// are left out where nobody needs them: one header would erase the bucket.
func bucketConfig(bucket string, ttl time.Duration, rollup bool) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: bucketStream(bucket), Subjects: []string{bucketSubject(bucket, ">")}, Description: "bucket " + bucket,
		Discard: jetstream.DiscardNew, MaxMsgsPerSubject: 1, MaxAge: ttl, AllowDirect: true, AllowAtomicPublish: true, AllowRollup: rollup,
	}
}

// complete fills in what all streams share, in the server's own terms, so that
// what is read back can be compared.
func complete(c *jetstream.StreamConfig, s Settings) {
	c.Storage, c.Replicas = jetstream.FileStorage, s.Replicas
	c.MaxMsgs, c.MaxBytes, c.MaxConsumers = -1, -1, -1
	if c.MaxMsgSize == 0 {
		c.MaxMsgSize = -1
	}
	if c.MaxMsgsPerSubject == 0 {
		c.MaxMsgsPerSubject = -1
	}
	if c.Duplicates == 0 {
		c.Duplicates = 2 * time.Minute
	}
}

// laneName is the durable of one lane. It holds the number of lanes, because
// lanes of another number share partitions with it.
func laneName(lane, of int) string { return fmt.Sprintf("%s%d-of-%d", lanePrefix, lane, of) }

// How lanes are called, and how they were while each had one message under way:
// a worker of that time must not read one that has many.
const (
	lanePrefix    = "lane-"
	oldLanePrefix = "intake-"
)

// laneWindow is how many messages of a lane may be under way, and so how far
// others go past one that takes its time.
const laneWindow = 512

// laneConfig takes every Lanes-th partition. What keeps the order within a lane,
// also when a worker dies, is that a worker takes up no message before everything
// ahead of it is done or in its own hands (worker/ahead.go); a pin or a hash
// orders only while nothing fails. The priorities let a lane stay with the worker
// that is at work on it.
func laneConfig(s Settings, lane int) jetstream.ConsumerConfig {
	var filters []string
	for p := lane; p < Partitions && s.Lanes > 1; p += s.Lanes { // one lane has all, without looking
		filters = append(filters, fmt.Sprintf("p.%d.>", p))
	}
	c := durable(s, laneName(lane, s.Lanes), laneWindow, filters...)
	c.PriorityPolicy, c.PriorityGroups = jetstream.PriorityPolicyPrioritized, []string{laneGroup}
	return c
}

// laneGroup is the one group of requests that a lane knows.
const laneGroup = "workers"

// consumerConfigs are the fixed durables by stream. Those of waiting letters
// are made when they are needed, see Waiting.
func consumerConfigs(s Settings) map[string][]jetstream.ConsumerConfig {
	lanes := make([]jetstream.ConsumerConfig, s.Lanes)
	for i := range lanes {
		lanes[i] = laneConfig(s, i)
	}
	return map[string][]jetstream.ConsumerConfig{
		Intake: lanes,
		Mail: { // in this order: where one durable had them all, it must let go of the urgent ones first
			durable(s, durableMail, s.MailLanes, letterFilters(false)...),
			durable(s, durableUrgent, s.MailLanes, letterFilters(true)...),
		},
		Wait:   {durable(s, durableDue, s.LetterLanes, dueWait+">")},
		Secret: {durable(s, durableAccess, pinsAtOnce, "secret.pin.>")},
	}
}

// letterFilters are the subjects of letters that are due, of those that go
// before the others and of the others. Three tokens: never a hold subject,
// which has four.
func letterFilters(urgent bool) []string {
	var filters []string
	for _, template := range events.Letters() {
		if slices.Contains(events.UrgentLetters(), template) == urgent {
			filters = append(filters, "mail."+template+".*")
		}
	}
	return filters
}

// letterTemplate tells whether the second token of a subject of MAIL is a
// template, or that of letters that wait.
func letterTemplate(subject string) bool {
	tokens := strings.Split(subject, ".")
	return len(tokens) > 2 && (slices.Contains(events.Letters(), tokens[1]) || strings.HasPrefix(subject, holdMail))
}

func durable(s Settings, name string, pending int, filters ...string) jetstream.ConsumerConfig {
	c := jetstream.ConsumerConfig{
		Durable: name, AckPolicy: jetstream.AckExplicitPolicy, AckWait: s.AckWait, MaxDeliver: -1, MaxAckPending: pending,
		DeliverPolicy: jetstream.DeliverAllPolicy,
	}
	if len(filters) == 1 {
		c.FilterSubject = filters[0]
	} else {
		c.FilterSubjects = filters
	}
	return c
}
