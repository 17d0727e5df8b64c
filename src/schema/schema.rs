// As `diesel print-schema` writes it from a migrated database, but that array elements are never NULL here.

diesel::table! {
    api_keys (key_id) {
        key_id -> Uuid,
        name -> Text,
        hash -> Bytea,
        hint -> Text,
        role -> Text,
        scopes -> Array<Text>,
        origins -> Array<Text>,
        created_at -> Timestamptz,
        created_by -> Text,
        expires_at -> Nullable<Timestamptz>,
        last_used_at -> Nullable<Timestamptz>,
        revoked_at -> Nullable<Timestamptz>,
        revoked_by -> Nullable<Text>,
        permissions -> Array<Text>,
    }
}

diesel::table! {
    association_rules (model_version, place) {
        model_version -> Int4,
        place -> Int4,
        antecedent -> Array<Int4>,
        consequent -> Array<Int4>,
        count -> Int4,
        support -> Float8,
        confidence -> Float8,
        lift -> Float8,
    }
}

diesel::table! {
    audit_begin (singleton) {
        singleton -> Bool,
        seq -> Int8,
        hash -> Bytea,
    }
}

diesel::table! {
    audit_log (seq) {
        seq -> Int8,
        occurred_at -> Timestamptz,
        actor -> Nullable<Text>,
        role -> Text,
        address -> Nullable<Text>,
        action -> Text,
        object -> Text,
        status -> Int2,
        before -> Nullable<Text>,
        after -> Nullable<Text>,
        hash -> Bytea,
        salt -> Nullable<Bytea>,
        digest -> Nullable<Bytea>,
        is_pseudonymous -> Bool,
    }
}

diesel::table! {
    broadcast_recipients (broadcast_id, external_id) {
        broadcast_id -> Uuid,
        external_id -> Text,
        is_released -> Bool,
    }
}

diesel::table! {
    broadcasts (broadcast_id) {
        broadcast_id -> Uuid,
        call_id -> Uuid,
        state -> Text,
        audience -> Jsonb,
        message -> Text,
        users -> Int4,
        due_at -> Timestamptz,
        created_at -> Timestamptz,
        changed_at -> Timestamptz,
        rate_per_minute -> Nullable<Int4>,
        rate_used_until -> Nullable<Timestamptz>,
        local_at -> Nullable<Text>,
        batches -> Array<Uuid>,
        unsent_reason -> Nullable<Text>,
    }
}

diesel::table! {
    cleaning_reports (report_id) {
        report_id -> Int4,
        source -> Text,
        created_at -> Timestamptz,
        rows_read -> Int8,
        rows_kept -> Int8,
        steps -> Jsonb,
    }
}

diesel::table! {
    consents (consent_id) {
        consent_id -> Int8,
        user_id -> Int4,
        purpose -> Text,
        granted -> Bool,
        source -> Text,
        text_version -> Text,
        recorded_at -> Timestamptz,
    }
}

diesel::table! {
    data_keys (key_id) {
        key_id -> Uuid,
        user_id -> Int4,
        master_key -> Text,
        wrapped -> Bytea,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    decisions (decision_id) {
        decision_id -> Uuid,
        decided_at -> Timestamptz,
        user_id -> Int4,
        trigger -> Text,
        category -> Text,
        outcome -> Text,
        reasons -> Array<Text>,
        notification_id -> Nullable<Uuid>,
        model_version -> Int4,
        segment -> Nullable<Int2>,
        items -> Array<Int4>,
        propensity -> Float4,
        until -> Nullable<Timestamptz>,
        p_click -> Nullable<Float4>,
        p_purchase -> Nullable<Float4>,
        p_mute -> Nullable<Float4>,
        features -> Nullable<Array<Float4>>,
        channel -> Text,
        campaign -> Text,
        dedupe_key -> Nullable<Int8>,
        policy_version -> Int4,
        holdout -> Bool,
        counted -> Bool,
        alternatives -> Array<Text>,
        steps -> Jsonb,
        slice -> Text,
        variant -> Nullable<Text>,
        arms -> Jsonb,
        variant_propensity -> Nullable<Float4>,
        inputs -> Jsonb,
        call_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    definitions (definition_id) {
        definition_id -> Int8,
        kind -> Text,
        name -> Text,
        version -> Int4,
        state -> Text,
        body -> Jsonb,
        changed_at -> Timestamptz,
        changed_by -> Text,
        repeats -> Nullable<Int4>,
    }
}

diesel::table! {
    erasure_key (singleton) {
        singleton -> Bool,
        key -> Bytea,
    }
}

diesel::table! {
    erasures (erasure_id) {
        erasure_id -> Uuid,
        state -> Text,
        pseudonym -> Text,
        requested_at -> Timestamptz,
        requested_by -> Text,
        erased_at -> Nullable<Timestamptz>,
        finished_at -> Nullable<Timestamptz>,
        removed -> Jsonb,
        kept -> Jsonb,
        names_under_way -> Nullable<Array<Text>>,
        inner_ids -> Nullable<Array<Int4>>,
        items_under_way -> Nullable<Array<Int4>>,
    }
}

diesel::table! {
    event_kinds (code) {
        code -> Int2,
        name -> Text,
        weight -> Float4,
        needs_item -> Bool,
    }
}

diesel::table! {
    event_receipts (event_key) {
        event_key -> Uuid,
        received_at -> Timestamptz,
    }
}

diesel::table! {
    events (event_key, occurred_at) {
        event_key -> Uuid,
        occurred_at -> Timestamptz,
        received_at -> Timestamptz,
        user_id -> Nullable<Int4>,
        item_id -> Nullable<Int4>,
        kind -> Int2,
        dwell_ms -> Nullable<Int4>,
        quantity -> Float4,
        value -> Nullable<Float8>,
        currency -> Nullable<Text>,
        basket -> Nullable<Int8>,
        query -> Nullable<Text>,
        list_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    feedback (notification_id, outcome) {
        notification_id -> Uuid,
        outcome -> Int2,
        user_id -> Int4,
        item_id -> Nullable<Int4>,
        value -> Nullable<Float8>,
        occurred_at -> Timestamptz,
    }
}

diesel::table! {
    held_messages (held_id) {
        held_id -> Uuid,
        user_id -> Int4,
        trigger -> Text,
        category -> Text,
        item_id -> Nullable<Int4>,
        price_before -> Nullable<Float8>,
        event -> Nullable<Jsonb>,
        for_digest -> Bool,
        until -> Timestamptz,
        expires_at -> Timestamptz,
        created_at -> Timestamptz,
        call_id -> Nullable<Uuid>,
        is_paused -> Bool,
    }
}

diesel::table! {
    idempotency_keys (key_hash) {
        key_hash -> Uuid,
        fingerprint -> Uuid,
        answer -> Text,
        accepted_at -> Timestamptz,
    }
}

diesel::table! {
    identity_changes (only_row) {
        only_row -> Bool,
        changes -> Int8,
    }
}

diesel::table! {
    item_prices (item_id, at) {
        item_id -> Int4,
        at -> Timestamptz,
        price -> Float8,
        currency -> Nullable<Text>,
    }
}

diesel::table! {
    items (item_id) {
        item_id -> Int4,
        external_id -> Text,
        title -> Nullable<Text>,
        category -> Array<Text>,
        tags -> Array<Text>,
        price -> Nullable<Float8>,
        currency -> Nullable<Text>,
        stock -> Nullable<Int4>,
        url -> Nullable<Text>,
        image_url -> Nullable<Text>,
        attributes -> Jsonb,
        consumable -> Bool,
        active -> Bool,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        embedding -> Nullable<Array<Float4>>,
        translations -> Jsonb,
        prices -> Jsonb,
    }
}

diesel::table! {
    jobs (job_id) {
        job_id -> Uuid,
        kind -> Text,
        state -> Text,
        stage -> Text,
        progress -> Float4,
        message -> Nullable<Text>,
        created_at -> Timestamptz,
        finished_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    learner (id) {
        id -> Bool,
        version -> Int4,
        learned -> Jsonb,
        saved_at -> Timestamptz,
    }
}

diesel::table! {
    models (model_version) {
        model_version -> Int4,
        created_at -> Timestamptz,
        state -> Text,
        parameters -> Jsonb,
        metrics -> Jsonb,
        gate -> Jsonb,
        events -> Int8,
        took_ms -> Int4,
        artefact -> Bytea,
        activated_at -> Nullable<Timestamptz>,
        card -> Nullable<Jsonb>,
    }
}

diesel::table! {
    lists (list_id) {
        list_id -> Uuid,
        user_id -> Nullable<Int4>,
        placement -> Text,
        items -> Array<Int4>,
        made_at -> Timestamptz,
    }
}

diesel::table! {
    acknowledgements (user_id) {
        user_id -> Int4,
        up_to -> Int8,
        acknowledged_at -> Timestamptz,
    }
}

diesel::table! {
    notification_receipts (receipt) {
        receipt -> Uuid,
        accepted_at -> Timestamptz,
    }
}

diesel::table! {
    notifications (notification_id) {
        notification_id -> Uuid,
        user_id -> Int4,
        stream_offset -> Int8,
        kind -> Text,
        category -> Text,
        trigger -> Text,
        model_version -> Int4,
        segment -> Nullable<Int2>,
        items -> Array<Int4>,
        frame -> Text,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
        collapse_key -> Nullable<Text>,
        priority -> Int2,
        seen_at -> Nullable<Timestamptz>,
        read_at -> Nullable<Timestamptz>,
        withdrawn_at -> Nullable<Timestamptz>,
        withdrawn_reason -> Nullable<Text>,
        channel -> Int2,
        given_at -> Nullable<Timestamptz>,
        archived_at -> Nullable<Timestamptz>,
        snoozed_until -> Nullable<Timestamptz>,
        inbox_changed_at -> Nullable<Timestamptz>,
        call_id -> Nullable<Uuid>,
        returned_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    opt_outs (user_id, opted_out_at) {
        user_id -> Int4,
        opted_out_at -> Timestamptz,
    }
}

diesel::table! {
    outbox (outbox_id) {
        outbox_id -> Int8,
        batch -> Uuid,
        due_at -> Timestamptz,
        users -> Array<Text>,
        message -> Text,
        broadcast_id -> Nullable<Uuid>,
        is_held -> Bool,
    }
}

diesel::table! {
    people (person_id) {
        person_id -> Uuid,
        name -> Text,
        role -> Text,
        password_hash -> Nullable<Text>,
        issuer -> Nullable<Text>,
        issuer_subject -> Nullable<Text>,
        created_at -> Timestamptz,
        created_by -> Text,
        signed_in_at -> Nullable<Timestamptz>,
        disabled_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    person_links (hash) {
        hash -> Bytea,
        person_id -> Nullable<Uuid>,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    person_sessions (session_id) {
        session_id -> Uuid,
        hash -> Bytea,
        person_id -> Uuid,
        created_at -> Timestamptz,
        seen_at -> Timestamptz,
        expires_at -> Timestamptz,
        address -> Nullable<Text>,
        browser -> Nullable<Text>,
    }
}

diesel::table! {
    push_keys (singleton) {
        singleton -> Bool,
        private_key -> Bytea,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    push_outbox (notification_id, subscription_id) {
        notification_id -> Uuid,
        subscription_id -> Int8,
        user_id -> Int4,
        expires_at -> Timestamptz,
        due_at -> Timestamptz,
        claimed_until -> Nullable<Timestamptz>,
        attempts -> Int4,
        service -> Text,
    }
}

diesel::table! {
    push_subscriptions (subscription_id) {
        subscription_id -> Int8,
        user_id -> Int4,
        endpoint -> Text,
        p256dh -> Bytea,
        auth -> Bytea,
        user_agent -> Nullable<Text>,
        expires_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        last_success_at -> Nullable<Timestamptz>,
        failures -> Int4,
        service -> Text,
        application_server_key -> Nullable<Text>,
        refusals -> Int4,
        ended_at -> Nullable<Timestamptz>,
        end_reason -> Nullable<Text>,
    }
}

diesel::table! {
    revocations (revocation_id) {
        revocation_id -> Int8,
        token_id -> Nullable<Text>,
        subject -> Nullable<Text>,
        issued_before -> Timestamptz,
        reason -> Text,
        created_at -> Timestamptz,
        created_by -> Text,
    }
}

diesel::table! {
    server (singleton) {
        singleton -> Bool,
        epoch -> Text,
        created_at -> Timestamptz,
        holder -> Nullable<Uuid>,
        held_since -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    stated_features (user_id) {
        user_id -> Int4,
        purchases_per_month -> Float8,
        browsing_minutes_per_month -> Float8,
        searches_per_month -> Float8,
        stated_at -> Timestamptz,
    }
}

diesel::table! {
    tombstones (id_hash) {
        id_hash -> Bytea,
        erasure_id -> Uuid,
        until -> Timestamptz,
    }
}

diesel::table! {
    topic_subscribers (topic_id, user_id) {
        topic_id -> Int4,
        user_id -> Int4,
        subscribed_at -> Timestamptz,
    }
}

diesel::table! {
    topics (topic_id) {
        topic_id -> Int4,
        name -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    user_attributes (user_id) {
        user_id -> Int4,
        attributes -> Jsonb,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    user_features (user_id) {
        user_id -> Int4,
        purchases_per_month -> Float8,
        browsing_minutes_per_month -> Float8,
        searches_per_month -> Float8,
        recency_days -> Nullable<Float8>,
        monetary -> Float8,
        segment -> Nullable<Int2>,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    user_once (user_id, trigger) {
        user_id -> Int4,
        trigger -> Text,
        fired_at -> Timestamptz,
    }
}

diesel::table! {
    user_preferences (user_id) {
        user_id -> Int4,
        time_zone -> Nullable<Text>,
        locale -> Nullable<Text>,
        quiet_from_minute -> Nullable<Int2>,
        quiet_to_minute -> Nullable<Int2>,
        muted -> Array<Text>,
        updated_at -> Timestamptz,
        settings -> Jsonb,
    }
}

diesel::table! {
    users (user_id) {
        user_id -> Int4,
        external_id -> Text,
        is_robot -> Bool,
        created_at -> Timestamptz,
        last_connected_at -> Nullable<Timestamptz>,
        robot_since -> Nullable<Timestamptz>,
        robot_reason -> Nullable<Text>,
        robot_until -> Nullable<Timestamptz>,
        merged_into -> Nullable<Int4>,
        merged_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    webhook_attempts (attempt_id) {
        attempt_id -> Int8,
        delivery_id -> Int8,
        at -> Timestamptz,
        took_ms -> Int4,
        status -> Int2,
        answer -> Text,
    }
}

diesel::table! {
    webhook_cursor (singleton) {
        singleton -> Bool,
        purchases_until -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    webhook_deliveries (delivery_id) {
        delivery_id -> Int8,
        endpoint_id -> Uuid,
        message_id -> Uuid,
        event -> Text,
        payload -> Text,
        state -> Text,
        attempts -> Int4,
        created_at -> Timestamptz,
        since -> Timestamptz,
        due_at -> Timestamptz,
        claimed_until -> Nullable<Timestamptz>,
        finished_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    webhook_endpoints (endpoint_id) {
        endpoint_id -> Uuid,
        url -> Text,
        description -> Text,
        events -> Array<Text>,
        secret -> Bytea,
        old_secret -> Nullable<Bytea>,
        old_secret_until -> Nullable<Timestamptz>,
        state -> Text,
        disabled_reason -> Nullable<Text>,
        failing_since -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        changed_at -> Timestamptz,
        changed_by -> Text,
        removed_at -> Nullable<Timestamptz>,
    }
}

diesel::joinable!(association_rules -> models (model_version));
diesel::joinable!(broadcast_recipients -> broadcasts (broadcast_id));
diesel::joinable!(consents -> users (user_id));
diesel::joinable!(held_messages -> users (user_id));
diesel::joinable!(item_prices -> items (item_id));
diesel::joinable!(opt_outs -> users (user_id));
diesel::joinable!(person_links -> people (person_id));
diesel::joinable!(person_sessions -> people (person_id));
diesel::joinable!(push_outbox -> notifications (notification_id));
diesel::joinable!(push_outbox -> push_subscriptions (subscription_id));
diesel::joinable!(push_subscriptions -> users (user_id));
diesel::joinable!(stated_features -> users (user_id));
diesel::joinable!(tombstones -> erasures (erasure_id));
diesel::joinable!(topic_subscribers -> topics (topic_id));
diesel::joinable!(topic_subscribers -> users (user_id));
diesel::joinable!(user_attributes -> users (user_id));
diesel::joinable!(user_once -> users (user_id));
diesel::joinable!(user_preferences -> users (user_id));
diesel::joinable!(webhook_attempts -> webhook_deliveries (delivery_id));
diesel::joinable!(webhook_deliveries -> webhook_endpoints (endpoint_id));
