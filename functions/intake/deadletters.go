package intake

import (
	"net/http"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// deadLettersPage is a page of dead letters, newest first.
type deadLettersPage struct {
	DeadLetters []deadLetterView `json:"deadLetters"`
	NextCursor  string           `json:"nextCursor,omitempty"`
}

// deadLetterView shows an event that was given up on, without its data.
type deadLetterView struct {
	ID        string    `json:"id"`
	RequestID string    `json:"requestId,omitempty"`
	MessageID string    `json:"messageId,omitempty"`
	Function  string    `json:"function"`
	Reason    string    `json:"reason"`
	Detail    string    `json:"detail,omitempty"`
	State     string    `json:"state"`
	ResumedAs string    `json:"resumedAs,omitempty"`
	At        time.Time `json:"at"`
	Event     eventView `json:"event"`
}

type eventView struct {
	ID      string    `json:"id"`
	Type    string    `json:"type"`
	Source  string    `json:"source,omitempty"`
	Subject string    `json:"subject,omitempty"`
	Time    time.Time `json:"time,omitzero"`
	Topic   string    `json:"topic,omitempty"`
	Bytes   int       `json:"bytes"`
}

func (x *exchange) operator() error {
	if x.has(domain.RoleOperator) {
		return nil
	}
	return &domain.Error{Op: "dead letters", Kind: domain.Forbidden, Code: "role-missing", Detail: "dead letters need the role operator"}
}

func (f *Function) listDeadLetters(x *exchange) error {
	if err := x.operator(); err != nil {
		return err
	}
	q, err := x.query("limit", "cursor")
	if err != nil {
		return err
	}
	limit, after, err := q.page()
	if err != nil {
		return err
	}
	found, last, err := f.letters(x, limit, after)
	if err != nil {
		return err
	}
	page := deadLettersPage{DeadLetters: []deadLetterView{}, NextCursor: last}
	for _, d := range found {
		page.DeadLetters = append(page.DeadLetters, deadLetterView{
			ID: d.ID, RequestID: d.RequestID, MessageID: d.MessageID, Function: d.Function, Reason: d.Reason, Detail: d.Detail,
			State: string(d.State), ResumedAs: d.ResumedAs, At: utc(d.At),
			Event: eventView{d.Event.ID, d.Event.Type, d.Event.Source, d.Event.Subject, utc(d.Event.Time), d.Event.Topic, len(d.Event.Data)},
		})
	}
	return x.write(http.StatusOK, page)
}

// letters returns a page of what an operator may see: the letters of the own
// tenant, and those of no request, which nobody else would ever look at. The
// graveyard knows one tenant or all, so those of others are passed over here; a
// page may be short because of them, and has a cursor all the same.
func (f *Function) letters(x *exchange, limit int, after string) (page []application.DeadLetter, cursor string, err error) {
	for range maxBatches {
		batch, err := f.Graveyard.DeadLetters(x.ctx, "", pageMost, after)
		if err != nil {
			return nil, "", err
		}
		for _, d := range batch {
			if after = d.ID; d.Tenant != "" && d.Tenant != x.caller.Tenant {
				continue
			}
			if page = append(page, d); len(page) == limit {
				return page, cursorTo(after), nil
			}
		}
		if len(batch) < pageMost {
			return page, "", nil
		}
	}
	return page, cursorTo(after), nil
}

// maxBatches bounds how many letters of others one page passes over.
const maxBatches = 20

// resumed is the answer to resuming. RequestID is the request that goes on; it
// is missing for an event of none.
type resumed struct {
	DeadLetterID string `json:"deadLetterId"`
	State        string `json:"state"`
	RequestID    string `json:"requestId,omitempty"`
	TrackingURL  string `json:"trackingUrl,omitempty"`
}

func (f *Function) resumeDeadLetter(x *exchange) error {
	if err := x.operator(); err != nil {
		return err
	}
	if _, err := x.query(); err != nil {
		return err
	}
	id, err := x.id("dead letter")
	if err != nil {
		return err
	}
	request, err := f.Resume.Resume(x.ctx, x.caller, id)
	if err != nil {
		return err
	}
	answer := resumed{DeadLetterID: id, State: string(application.LetterResumed), RequestID: request}
	if request != "" {
		answer.TrackingURL = trackingURL(request)
		x.w.Header().Set("Location", answer.TrackingURL)
	}
	return x.write(http.StatusAccepted, answer)
}
