package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
	"usn.no/matricula/stream"
	"usn.no/matricula/worker"
)

// handlers is the table of contents: what is done about each event. What the
// sources tell of can wait while people wait in a portal; orders and clicks
// cannot.
func handlers(w *worker.Worker, life *account.Lifecycle, crowd *stream.Crowd) {
	worker.Handle(w, inTurn(crowd, life.EmployeeRegistered))
	worker.Handle(w, inTurn(crowd, life.EmployeeUpdated))
	worker.Handle(w, inTurn(crowd, life.EmployeeEnded))
	worker.Handle(w, inTurn(crowd, life.EmployeeCancelled))
	worker.Handle(w, inTurn(crowd, life.EmployeeIDChanged))
	worker.Handle(w, inTurn(crowd, life.StudentRegistered))
	worker.Handle(w, inTurn(crowd, life.StudentUpdated))
	worker.Handle(w, inTurn(crowd, life.SONumberIssued))
	worker.Handle(w, inTurn(crowd, life.StudentEnded))
	worker.Handle(w, inTurn(crowd, life.StudentIDChanged))
	worker.Handle(w, life.PasswordCompromised)
	worker.Handle(w, life.ChangeRequired)
	worker.Handle(w, life.AccountSuspended)
	worker.Handle(w, life.AccountRestored)
	worker.Handle(w, life.AccountInvited)
	worker.Handle(w, life.AccountOpened)
	worker.Handle(w, life.AccountMerged)
	worker.Handle(w, life.MailBounced)
	worker.Handle(w, life.AccountActed)
	worker.Handle(w, life.InvitationRequested)
	worker.Handle(w, life.LetterRequested)
	worker.Handle(w, life.LetterDue)
}

// How many persons are worked on at the same time in one lane of the intake,
// and from how many on what they lead to may wait for each other: the directory
// has enough to do then.
const (
	atOnce  = 256
	patient = 64
)

const (
	sweepEvery  = 5 * time.Second // facts that no hurry announced
	groupsEvery = 5 * time.Second // letters that other workers planned
)

// workerRole consumes the intake and what waits.
type workerRole struct {
	*system
	js      jetstream.JetStream
	life    *account.Lifecycle
	waiting *stream.Waiting
	people  people
	pub     *stream.Publisher
	intake  *worker.Worker
	metrics *worker.Metrics
	brake   *brakeWatch
	crowd   *crowdWatch
	trial   trial
}

func (s *system) newWorker(ctx context.Context, m *worker.Metrics) (*workerRole, error) {
	js, err := s.connect(roleWorker)
	if err != nil {
		return nil, err
	}
	if err := s.refuseDrift(ctx, js, stream.Intake, stream.Wait, stream.Mail, stream.Audit, stream.Dead, stream.Secret, "KV_"+stream.BucketPINs, "KV_"+stream.BucketBrake); err != nil {
		return nil, err
	}
	p, err := s.people(ctx, roleWorker, js)
	if err != nil {
		return nil, err
	}
	pub := s.publisher(js)
	r := &workerRole{system: s, js: js, people: p, metrics: m, pub: pub, waiting: &stream.Waiting{JS: js, Settings: s.settings()}}
	r.trial, r.crowd = trial{try: p.Writable, log: s.log}, newCrowdWatch(s.log)
	life := s.lifecycle()
	life.Directory, life.Claims = watchDirectory(p), watchClaims(stream.NewClaims(pub))
	life.Publisher, life.Waiting = watchPublisher(pub), watchWaiting(r.waiting)
	life.Sent = &stream.Letters{Publisher: pub}
	brake := s.newBrake(pub)
	if brake != nil {
		life.Brake = brake
	}
	r.brake = newBrakeWatch(brake, pub, s.log)
	life.PINs = watchPINs(&stream.PINs{Publisher: pub})
	if life.Identity, err = s.identity(); err != nil {
		return nil, err
	}
	if life.Seal, err = s.sealer(); err != nil {
		return nil, err
	}
	requests, err := workerKeys(s.cfg.Keys.ClaimsFile)
	if err != nil {
		return nil, err
	}
	life.OpenRequest = requestOpener(requests)
	r.life = life
	r.intake = r.work("intake")
	r.intake.AtOnce = atOnce
	watchOrder(r.intake)
	pub.Patient = func() bool { return r.intake.InHand() >= patient }
	return r, nil
}

// sealer seals an SO-number to the mailer, bound to the letter it is for.
func (s *system) sealer() (func(letter, secret string) (string, error), error) {
	text, err := os.ReadFile(string(s.cfg.Keys.MailerPublicFile))
	if err != nil {
		return nil, fmt.Errorf("keys.mailer_public_file: %w", err)
	}
	pub, err := events.ParseSealPublicKey(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("keys.mailer_public_file: %w", err)
	}
	return func(letter, secret string) (string, error) {
		return events.Seal(pub, events.SONumberInfo(letter), []byte(secret))
	}, nil
}

// writable tries a write. A broker whose disk is full goes on answering
// everything else, and as it takes no events either there is no work that
// would show it. What is written is a deleted claim, always the same one, as
// long as a page of the disk: what is left of the last page would go on taking
// shorter ones.
func (r *workerRole) writable(ctx context.Context) error {
	m := &nats.Msg{Subject: "$KV." + stream.BucketClaims + ".ready", Data: make([]byte, 4096), Header: nats.Header{"KV-Operation": {"DEL"}}}
	_, err := r.js.PublishMsg(ctx, m)
	return err
}

func (r *workerRole) work(name string) *worker.Worker {
	w := &worker.Worker{
		Conn: r.js.Conn(), Aside: &stream.Aside{Publisher: r.pub, Clock: r.settings().Clock}, Publisher: r.pub,
		Log: r.log, Name: name, Metrics: r.metrics, Attempts: r.cfg.Worker.Attempts, Now: r.clock.Now,
	}
	handlers(w, r.life, r.crowd.Crowd)
	return w
}

// run works until ctx ends, then finishes what is in hand.
func (r *workerRole) run(ctx context.Context) error {
	lanes, err := stream.LaneConsumers(ctx, r.js, r.settings())
	if err != nil {
		return err
	}
	if err := r.replan(ctx); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.intake.Run(ctx, lanes) })
	g.Go(func() error { return r.runDue(ctx) })
	g.Go(func() error { return r.sweep(ctx) })
	g.Go(func() error { return r.brake.run(ctx) })
	g.Go(func() error { return r.crowd.Run(ctx, r.js.Conn()) })
	g.Go(func() error { return r.remember(ctx) })
	return g.Wait()
}

// replan moves every group of waiting letters to where the windows in force
// now put it.
func (r *workerRole) replan(ctx context.Context) error {
	return r.waiting.Replan(ctx, func(group, kind string) (time.Time, bool) { return r.life.Due(group, kind), true })
}

// runDue works on what was put aside, and on each group of letters, also on
// groups that appear while it runs.
func (r *workerRole) runDue(ctx context.Context) error {
	due, err := stream.DueConsumer(ctx, r.js)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	read := func(ctx context.Context, name string, c jetstream.Consumer) error {
		return r.work(name).Run(ctx, repeat(c, r.settings().LetterLanes))
	}
	g.Go(func() error { return read(ctx, "due", due) })
	g.Go(func() error {
		r.waiting.Watch(ctx, groupsEvery, func(ctx context.Context, c jetstream.Consumer) {
			if err := read(ctx, "letters", c); err != nil {
				r.log.Warn().Err(err).Msg("waiting letters")
			}
		}, func(err error) { r.log.Warn().Err(err).Msg("waiting letters could not be listed") })
		return nil
	})
	return g.Wait()
}

func repeat(c jetstream.Consumer, n int) []jetstream.Consumer {
	out := make([]jetstream.Consumer, n)
	for i := range out {
		out[i] = c
	}
	return out
}

// sweep does what nobody may come to do: it publishes the facts of clicks whose
// portal died before it could say so, and takes the turns that time alone
// brings.
func (r *workerRole) sweep(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		n, err := r.life.PublishUnsent(ctx)
		r.swept(ctx, n, err, "published facts of clicks", "facts of clicks could not be published yet")
		n, err = r.life.TakeTurns(ctx)
		r.swept(ctx, n, err, "took the turns of accounts", "turns of accounts could not be taken yet")
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (r *workerRole) swept(ctx context.Context, n int, err error, did, failed string) {
	switch {
	case ctx.Err() != nil:
	case err != nil:
		r.log.Warn().Err(err).Msg(failed)
	case n > 0:
		r.log.Info().Int("accounts", n).Msg(did)
	}
}

// refuseDrift refuses to run on streams that are not what the settings say:
// setup brings them there, knowingly.
func (s *system) refuseDrift(ctx context.Context, js jetstream.JetStream, streams ...string) error {
	diffs, err := stream.Drift(ctx, js, s.settings(), streams...)
	if err != nil {
		return err
	}
	if len(diffs) == 0 {
		return nil
	}
	errs := []error{errors.New("the streams are not what the settings say: run matricula setup")}
	for _, d := range diffs {
		errs = append(errs, errors.New("  "+d))
	}
	return errors.Join(errs...)
}
