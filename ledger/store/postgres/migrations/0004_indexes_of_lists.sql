-- Lists of few events among very many. Nobody records while a schema is brought up to date, and readers do not wait for
-- an index that is being made. None of them hears of fills: an INSERT only looks at the topic.

-- Who asked alone: the first events of requests, in the order of the log.
CREATE INDEX IF NOT EXISTS requests_position ON {schema}.requests (position);

-- Decisions on accounts that are listed over all accounts, and evaluations after which a person has to decide.
CREATE INDEX IF NOT EXISTS rare_decisions ON {schema}.{events} (notification_id) WHERE topic = ANY (
    '{{FactWithheld,FactReleased,FactDeclined,FactWithdrawn,OwnerNamed,MatchRequested,MatchRejected}}');
CREATE INDEX IF NOT EXISTS manual_reviews ON {schema}.{events} (notification_id)
    WHERE topic = 'VolumeEvaluated' AND position('MANUAL_REVIEW'::bytea IN state) > 0;
