-- The tables of the read side, in a schema of their own: {read}. They are folds of the log, and can be thrown away and made
-- again. None has a row per fill. Times end in _ns: nanoseconds since 1970 in UTC; intervals are half-open.

CREATE SCHEMA IF NOT EXISTS {read};

CREATE TABLE IF NOT EXISTS {read}.position (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    position bigint NOT NULL,
    version integer NOT NULL
);
COMMENT ON TABLE {read}.position IS 'How far these tables are: they hold what the log says up to this position.';
COMMENT ON COLUMN {read}.position.version IS
    'Which tables these are. A release that makes others makes them anew by itself when it starts.';
INSERT INTO {read}.position (position, version) VALUES (0, {version}) ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS {read}.accounts (
    account_id text COLLATE "C" PRIMARY KEY,
    owner_id text COLLATE "C" NOT NULL,
    parent_account_id text COLLATE "C" NOT NULL,
    trial_used boolean NOT NULL,
    registered_time_ns bigint,
    trial_from_ns bigint,
    tier_from_ns bigint,
    tier_until_ns bigint
);
CREATE INDEX IF NOT EXISTS accounts_owner ON {read}.accounts (owner_id, account_id) WHERE registered_time_ns IS NOT NULL;
-- Whoever has no tier at an instant has another one before or after it, the last time, or has had none.
CREATE INDEX IF NOT EXISTS accounts_tier_from ON {read}.accounts (tier_from_ns);
CREATE INDEX IF NOT EXISTS accounts_tier_until ON {read}.accounts (tier_until_ns) WHERE tier_until_ns IS NOT NULL;
COMMENT ON TABLE {read}.accounts IS 'Every account the ledger knows: from its first command or fill.';
COMMENT ON COLUMN {read}.accounts.account_id IS 'The account.';
COMMENT ON COLUMN {read}.accounts.owner_id IS 'Its beneficial owner; itself, unless it is registered.';
COMMENT ON COLUMN {read}.accounts.parent_account_id IS 'Set for a sub-account, otherwise empty.';
COMMENT ON COLUMN {read}.accounts.trial_used IS 'It has had a trial, or has one that begins later.';
COMMENT ON COLUMN {read}.accounts.registered_time_ns IS
    'From when on it has this owner and this parent: before, it was its own. Null: it is not registered.';
COMMENT ON COLUMN {read}.accounts.trial_from_ns IS 'When its first trial began; null: it has had none.';
COMMENT ON COLUMN {read}.accounts.tier_from_ns IS
    'From when on it has a tier without a break, in any programme, the last time; null: it has never had one.';
COMMENT ON COLUMN {read}.accounts.tier_until_ns IS 'First instant after that time; null: no end.';

CREATE TABLE IF NOT EXISTS {read}.vip_intervals (
    account_id text COLLATE "C" NOT NULL,
    programme_id text COLLATE "C" NOT NULL,
    valid_from_ns bigint NOT NULL,
    valid_until_ns bigint,
    tier text COLLATE "C" NOT NULL,
    tier_until_ns bigint,
    source text NOT NULL,
    grant_id text NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (account_id, programme_id, valid_from_ns)
);
-- By account where many have a tier; by the end where few have it still, and for what ends soon.
CREATE INDEX IF NOT EXISTS vip_intervals_tier ON {read}.vip_intervals (tier, account_id);
CREATE INDEX IF NOT EXISTS vip_intervals_ends ON {read}.vip_intervals (tier, valid_until_ns);
CREATE INDEX IF NOT EXISTS vip_intervals_tier_ends ON {read}.vip_intervals (source, tier_until_ns);
COMMENT ON TABLE {read}.vip_intervals IS
    'Which tier an account has when: the best grant at each instant. No row changes because time passes; at an instant without a row the tier is NONE.';
COMMENT ON COLUMN {read}.vip_intervals.account_id IS 'The account.';
COMMENT ON COLUMN {read}.vip_intervals.programme_id IS 'The programme the tier belongs to.';
COMMENT ON COLUMN {read}.vip_intervals.valid_from_ns IS 'First instant.';
COMMENT ON COLUMN {read}.vip_intervals.valid_until_ns IS
    'First instant after it; null: no end. The next row may give the same tier by another grant.';
COMMENT ON COLUMN {read}.vip_intervals.tier IS 'The tier.';
COMMENT ON COLUMN {read}.vip_intervals.tier_until_ns IS
    'First instant at which the tier is another one, or none, if nothing more is recorded; null: never.';
COMMENT ON COLUMN {read}.vip_intervals.source IS 'What the grant comes from: TRIAL, MANUAL, MATCH or EVALUATION.';
COMMENT ON COLUMN {read}.vip_intervals.grant_id IS 'The grant, within the account.';
COMMENT ON COLUMN {read}.vip_intervals.position IS 'Position of the event that gave the grant.';

CREATE TABLE IF NOT EXISTS {read}.ban_intervals (
    account_id text COLLATE "C" NOT NULL,
    ban_id text NOT NULL,
    start_time_ns bigint NOT NULL,
    end_time_ns bigint NOT NULL,
    reason_code text NOT NULL,
    PRIMARY KEY (account_id, ban_id)
);
CREATE INDEX IF NOT EXISTS ban_intervals_ends ON {read}.ban_intervals (end_time_ns);
COMMENT ON TABLE {read}.ban_intervals IS 'When an account was banned; a lift moves the end.';
COMMENT ON COLUMN {read}.ban_intervals.account_id IS 'The account.';
COMMENT ON COLUMN {read}.ban_intervals.ban_id IS 'The ban, within the account.';
COMMENT ON COLUMN {read}.ban_intervals.start_time_ns IS 'First instant.';
COMMENT ON COLUMN {read}.ban_intervals.end_time_ns IS 'First instant after it.';
COMMENT ON COLUMN {read}.ban_intervals.reason_code IS 'Why.';

CREATE TABLE IF NOT EXISTS {read}.flag_intervals (
    account_id text COLLATE "C" NOT NULL,
    flag_id text NOT NULL,
    kind text NOT NULL,
    flagged_time_ns bigint NOT NULL,
    unflagged_time_ns bigint,
    PRIMARY KEY (account_id, flag_id)
);
CREATE INDEX IF NOT EXISTS flag_intervals_ends ON {read}.flag_intervals (unflagged_time_ns);
COMMENT ON TABLE {read}.flag_intervals IS 'When an account was flagged as fake: then it has no row in vip_intervals.';
COMMENT ON COLUMN {read}.flag_intervals.account_id IS 'The account.';
COMMENT ON COLUMN {read}.flag_intervals.flag_id IS 'The flag, within the account.';
COMMENT ON COLUMN {read}.flag_intervals.kind IS 'FAKE or ROBOT.';
COMMENT ON COLUMN {read}.flag_intervals.flagged_time_ns IS 'First instant.';
COMMENT ON COLUMN {read}.flag_intervals.unflagged_time_ns IS 'First instant after it; null: it runs on.';

CREATE TABLE IF NOT EXISTS {read}.trials (
    account_id text COLLATE "C" NOT NULL,
    grant_id text NOT NULL,
    programme_id text COLLATE "C" NOT NULL,
    ends_ns bigint NOT NULL,
    evaluated_position bigint,
    PRIMARY KEY (account_id, grant_id)
);
CREATE INDEX IF NOT EXISTS trials_to_evaluate ON {read}.trials (programme_id, ends_ns) WHERE evaluated_position IS NULL;
COMMENT ON TABLE {read}.trials IS 'Trials, and whether their volume has been evaluated.';
COMMENT ON COLUMN {read}.trials.account_id IS 'The account.';
COMMENT ON COLUMN {read}.trials.grant_id IS 'The grant, within the account.';
COMMENT ON COLUMN {read}.trials.programme_id IS 'The programme of the trial.';
COMMENT ON COLUMN {read}.trials.ends_ns IS 'First instant after it.';
COMMENT ON COLUMN {read}.trials.evaluated_position IS 'Position of the event that evaluated its volume; null: none has.';

CREATE TABLE IF NOT EXISTS {read}.applications (
    account_id text COLLATE "C" NOT NULL,
    application_id text NOT NULL,
    programme_id text COLLATE "C" NOT NULL,
    received_time_ns bigint NOT NULL,
    verified_time_ns bigint,
    clock_start_ns bigint,
    deadline_day integer,
    outcome text NOT NULL,
    settled_time_ns bigint,
    PRIMARY KEY (account_id, application_id)
);
CREATE INDEX IF NOT EXISTS applications_deadline ON {read}.applications (deadline_day) WHERE settled_time_ns IS NULL;
COMMENT ON TABLE {read}.applications IS 'Applications for membership and their deadlines.';
COMMENT ON COLUMN {read}.applications.account_id IS 'The account.';
COMMENT ON COLUMN {read}.applications.application_id IS 'The application, within the account.';
COMMENT ON COLUMN {read}.applications.programme_id IS 'The programme applied to.';
COMMENT ON COLUMN {read}.applications.received_time_ns IS 'When it was received.';
COMMENT ON COLUMN {read}.applications.verified_time_ns IS 'When the identity of the API user was verified; null: it is not.';
COMMENT ON COLUMN {read}.applications.clock_start_ns IS 'When its business days began to count; null: they have not.';
COMMENT ON COLUMN {read}.applications.deadline_day IS 'Last UTC day in time, since 1970; null: it has none yet.';
COMMENT ON COLUMN {read}.applications.outcome IS 'GRANTED or DECLINED; empty: not settled.';
COMMENT ON COLUMN {read}.applications.settled_time_ns IS 'When it was settled; null: it is not.';

CREATE TABLE IF NOT EXISTS {read}.matches (
    account_id text COLLATE "C" NOT NULL,
    match_id text NOT NULL,
    programme_id text COLLATE "C" NOT NULL,
    tier text COLLATE "C" NOT NULL,
    requested_time_ns bigint NOT NULL,
    status text NOT NULL,
    settled_time_ns bigint,
    PRIMARY KEY (account_id, match_id)
);
CREATE INDEX IF NOT EXISTS matches_pending ON {read}.matches (programme_id) WHERE settled_time_ns IS NULL;
COMMENT ON TABLE {read}.matches IS 'Fee rate matches that were asked for.';
COMMENT ON COLUMN {read}.matches.account_id IS 'The account.';
COMMENT ON COLUMN {read}.matches.match_id IS 'The match, within the account.';
COMMENT ON COLUMN {read}.matches.programme_id IS 'The programme whose tier was asked for.';
COMMENT ON COLUMN {read}.matches.tier IS 'The tier that the volume was worth; empty where a rule refused it.';
COMMENT ON COLUMN {read}.matches.requested_time_ns IS 'When it was asked for.';
COMMENT ON COLUMN {read}.matches.status IS 'PENDING, APPROVED or REJECTED.';
COMMENT ON COLUMN {read}.matches.settled_time_ns IS 'When it was approved or rejected; null: it is not.';

CREATE TABLE IF NOT EXISTS {read}.withheld_facts (
    account_id text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    fact_position bigint NOT NULL,
    settled_position bigint,
    settled_time_ns bigint,
    PRIMARY KEY (account_id, position)
);
CREATE INDEX IF NOT EXISTS withheld_facts_settled ON {read}.withheld_facts (settled_position);
CREATE INDEX IF NOT EXISTS withheld_facts_settled_time ON {read}.withheld_facts (settled_time_ns);
COMMENT ON TABLE {read}.withheld_facts IS 'Facts that were withheld from lines recorded before them, and what ended that.';
COMMENT ON COLUMN {read}.withheld_facts.account_id IS 'The account.';
COMMENT ON COLUMN {read}.withheld_facts.position IS 'Position of the event that withheld the fact.';
COMMENT ON COLUMN {read}.withheld_facts.fact_position IS 'Position of the fact.';
COMMENT ON COLUMN {read}.withheld_facts.settled_position IS
    'Position of the event that released, declined or withdrew it, or withheld it for another reason; null: it waits.';
COMMENT ON COLUMN {read}.withheld_facts.settled_time_ns IS 'When that took effect; null: it waits.';

-- Rows of account-days change as long as the day is traded: in pages with room for another version of each row no index
-- hears of it.
CREATE TABLE IF NOT EXISTS {read}.fee_days (
    account_id text COLLATE "C" NOT NULL,
    day date NOT NULL,
    currency text COLLATE "C" NOT NULL,
    charges numeric NOT NULL,
    rebates numeric NOT NULL,
    credits numeric NOT NULL,
    lines bigint NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (account_id, day, currency)
) WITH (fillfactor = 45);
COMMENT ON TABLE {read}.fee_days IS
    'Fees of an account on a UTC day, by fee currency. What it pays on the whole is charges + rebates + credits.';
COMMENT ON COLUMN {read}.fee_days.account_id IS 'The account.';
COMMENT ON COLUMN {read}.fee_days.day IS 'UTC day on which the trades happened, or that was credited.';
COMMENT ON COLUMN {read}.fee_days.currency IS 'Currency of the fees.';
COMMENT ON COLUMN {read}.fee_days.charges IS 'Sum of the positive fees.';
COMMENT ON COLUMN {read}.fee_days.rebates IS 'Sum of the negative fees: zero or negative.';
COMMENT ON COLUMN {read}.fee_days.credits IS 'Sum of what was credited by hand and not withdrawn: zero or negative.';
COMMENT ON COLUMN {read}.fee_days.lines IS 'Number of fills with a fee in this currency.';
COMMENT ON COLUMN {read}.fee_days.position IS 'Position of the last event of the day.';

CREATE TABLE IF NOT EXISTS {read}.volume_days (
    account_id text COLLATE "C" NOT NULL,
    day date NOT NULL,
    quote_currency text COLLATE "C" NOT NULL,
    product text NOT NULL,
    channel text NOT NULL,
    self_trade boolean NOT NULL,
    banned boolean NOT NULL,
    zero_fee boolean NOT NULL,
    notional numeric NOT NULL,
    lines bigint NOT NULL,
    PRIMARY KEY (account_id, day, quote_currency, product, channel, self_trade, banned, zero_fee)
) WITH (fillfactor = 45);
COMMENT ON TABLE {read}.volume_days IS
    'Volume of an account on a UTC day, by the facts that decide whether it counts. Whether it does is a reading of the programme.';
COMMENT ON COLUMN {read}.volume_days.account_id IS 'The account.';
COMMENT ON COLUMN {read}.volume_days.day IS 'UTC day on which the trades happened.';
COMMENT ON COLUMN {read}.volume_days.quote_currency IS 'Currency of the notional.';
COMMENT ON COLUMN {read}.volume_days.product IS 'SPOT or FUTURES.';
COMMENT ON COLUMN {read}.volume_days.channel IS 'API, WEB, APP, or UNSPECIFIED.';
COMMENT ON COLUMN {read}.volume_days.self_trade IS 'The account traded with its own owner.';
COMMENT ON COLUMN {read}.volume_days.banned IS 'The account was banned when it traded.';
COMMENT ON COLUMN {read}.volume_days.zero_fee IS 'The rate was zero.';
COMMENT ON COLUMN {read}.volume_days.notional IS 'Sum of price x quantity.';
COMMENT ON COLUMN {read}.volume_days.lines IS 'Number of fills.';

CREATE OR REPLACE VIEW {read}.vip_now AS
    SELECT account_id, programme_id, tier, source, grant_id,
        timestamptz 'epoch' + valid_from_ns / 1000 * interval '1 microsecond' AS valid_from,
        timestamptz 'epoch' + tier_until_ns / 1000 * interval '1 microsecond' AS valid_until,
        position
    FROM {read}.vip_intervals,
        (SELECT (extract(epoch FROM clock_timestamp()) * 1000000000)::bigint AS ns) AS clock
    WHERE valid_from_ns <= clock.ns AND (valid_until_ns IS NULL OR clock.ns < valid_until_ns);
COMMENT ON VIEW {read}.vip_now IS 'The tier each account has now, by which grant since when, and until when the tier stays; an account without a row has none.';
