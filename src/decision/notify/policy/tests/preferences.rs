//! Consent, mutes and preferences of the user.

use super::*;

#[test]
fn without_consent_to_profiling_only_what_is_not_from_the_profile_is_sent() {
    let state = PolicyState::default();
    let with = |from_profile| {
        judge(&[1, 2], NOW, &state, |candidate, _, _, preferences| {
            preferences.consent.note(Purpose::Profiling, false);
            candidate.from_profile = from_profile;
        })
    };
    assert_eq!((with(true).outcome, with(false).outcome), (Outcome::Drop, Outcome::Send));
    assert_eq!(first(&with(true)), "consent: none to profiling");
    let silent = judge(&[1, 2], NOW, &state, |_, _, rules, _| rules.profiling_by_default = false);
    assert_eq!(silent.outcome, Outcome::Drop);
    let asked = judge(&[1, 2], NOW, &state, |_, _, rules, preferences| {
        rules.profiling_by_default = false;
        preferences.consent.note(Purpose::Profiling, true);
    });
    assert_eq!(asked.outcome, Outcome::Send);
}

#[test]
fn what_the_user_asked_for_is_kept() {
    let state = PolicyState::default();
    let said = |change: fn(&mut Preferences)| {
        let decision = judge(&[1, 2], NOW, &state, |_, _, _, preferences| change(preferences));
        (decision.outcome, first(&decision))
    };
    assert_eq!(said(|preferences| preferences.settings.opted_out = true).0, Outcome::Drop);
    let (outcome, reason) = said(|preferences| {
        preferences.muted.insert("similar_items".into());
    });
    assert_eq!((outcome, reason.as_str()), (Outcome::Drop, "muted: the user wants no similar_items"));
    assert_eq!(said(|preferences| preferences.settings.mute(Mute::Kind("view".into()))).0, Outcome::Drop);
    assert_eq!(said(|preferences| preferences.settings.mute(Mute::Kind("cart".into()))).0, Outcome::Send);
    let pause = |preferences: &mut Preferences| {
        preferences.settings.paused_until = Some(NOW + Millis::hours(1));
    };
    assert_eq!(said(pause).0, Outcome::InboxOnly);
    assert_eq!(said(|preferences| preferences.settings.paused_until = Some(NOW)).0, Outcome::Send);
    assert_eq!(
        said(|preferences| {
            preferences.settings.digest.insert("*".into());
        })
        .0,
        Outcome::Digest
    );
    let block = |preferences: &mut Preferences| {
        preferences.settings.blocked_channels.entry("*".into()).or_default().insert(Channel::Socket);
    };
    assert_eq!(said(block).0, Outcome::InboxOnly);
}

fn watch() -> Item {
    Item {
        id: ItemId(7),
        external_id: ExternalId::Integer(107),
        title: None,
        category: vec!["Watches".into(), "Dive watches".into()],
        tags: Vec::new(),
        price: None,
        currency: None,
        stock: None,
        url: None,
        image_url: None,
        attributes: [("brand".to_owned(), "Acme".to_owned())].into(),
        consumable: false,
        local: None,
        created_at: NOW,
    }
}

#[test]
fn an_item_is_muted_by_id_category_or_brand() {
    let (state, item) = (PolicyState::default(), watch());
    let with = |mute: Mute| {
        judge(&[7, 8], NOW, &state, |candidate, _, _, preferences| {
            candidate.subject = Some(&item);
            preferences.settings.mute(mute);
        })
        .outcome
    };
    assert_eq!(with(Mute::Item("107".into())), Outcome::Drop);
    assert_eq!(with(Mute::ItemCategory("Dive watches".into())), Outcome::Drop);
    assert_eq!(with(Mute::Brand("Acme".into())), Outcome::Drop);
    assert_eq!(with(Mute::Brand("Other".into())), Outcome::Send);
}
