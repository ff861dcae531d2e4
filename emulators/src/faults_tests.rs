use super::*;

const NOW: Duration = Duration::from_secs(100);

fn posted<'a>(path: &'a str, people: &'a [String]) -> Arrival<'a> {
    Arrival { method: "POST", path, people }
}

fn decide(plan: &mut FaultPlan, now: Duration, people: &[&str]) -> Option<&'static str> {
    let people: Vec<String> = people.iter().map(|key| (*key).to_owned()).collect();
    plan.decide(now, &posted("/events", &people)).fault
}

#[test]
fn strikes_as_often_as_ordered_and_in_order_of_injection() {
    let mut plan = FaultPlan::default();
    plan.inject(Fault::always(Effect::respond(503)).times(2), NOW);
    plan.inject(Fault::always(Effect::HangAfterApplying).times(1), NOW);
    let struck: Vec<_> = (0..4).map(|_| decide(&mut plan, NOW, &[])).collect();
    assert_eq!(struck, [Some("respond"), Some("respond"), Some("hang_after_applying"), None]);
    assert_eq!(plan.faults(), []);
}

#[test]
fn strikes_the_named_person_and_path_only() {
    let mut plan = FaultPlan::default();
    plan.inject(Fault::always(Effect::ResetBeforeApplying).person("ann").path("/ev"), NOW);
    assert_eq!(decide(&mut plan, NOW, &["id:bob"]), None);
    assert_eq!(decide(&mut plan, NOW, &["id:bob", "id:ann"]), Some("reset_before_applying"));
    assert_eq!(plan.decide(NOW, &posted("/contacts", &["id:ann".to_owned()])).fault, None);
    plan.inject(Fault::always(Effect::respond(500)).method("PUT").path("/contacts"), NOW);
    assert_eq!(plan.decide(NOW, &posted("/contacts", &[])).fault, None);
    let put = Arrival { method: "PUT", ..posted("/contacts/1", &[]) };
    assert_eq!(plan.decide(NOW, &put).fault, Some("respond"));
}

#[test]
fn strikes_inside_its_window_only_and_a_throttle_tells_how_much_is_left() {
    let mut plan = FaultPlan::default();
    let second = Duration::from_secs(1);
    plan.inject(Fault::always(Effect::Throttle).window(second, 5 * second), NOW);
    assert_eq!(decide(&mut plan, NOW, &[]), None);
    let course = plan.decide(NOW + 3 * second, &posted("/events", &[]));
    let wanted = Action::Answer { status: 429, body: None, retry_after_seconds: Some(3) };
    assert_eq!(course.action, wanted);
    assert_eq!(decide(&mut plan, NOW + 6 * second, &[]), None);
}

#[test]
fn chance_repeats_with_its_seed_and_keeps_to_its_probability() {
    let run = |seed| {
        let mut plan = FaultPlan::default();
        plan.inject(Fault::always(Effect::respond(500)).chance(0.2, seed), NOW);
        (0..2000).map(|_| decide(&mut plan, NOW, &[]).is_some()).collect::<Vec<_>>()
    };
    let struck = run(7);
    assert_eq!(struck, run(7));
    assert_ne!(struck, run(8));
    let count = struck.iter().filter(|struck| **struck).count();
    assert!((320..480).contains(&count), "{count} of 2000");
}

#[test]
fn the_switches_come_before_the_faults() {
    let mut plan = FaultPlan::default();
    plan.inject(Fault::always(Effect::HangBeforeApplying), NOW);
    plan.set_credentials(Credentials::Refused);
    assert_eq!(decide(&mut plan, NOW, &[]), Some("credentials_refused"));
    plan.set_outage(Outage::Reset);
    assert_eq!(plan.decide(NOW, &posted("/events", &[])).action, Action::Reset);
    plan.set_outage(Outage::Off);
    plan.set_credentials(Credentials::Accepted);
    assert_eq!(decide(&mut plan, NOW, &[]), Some("hang_before_applying"));
}

#[test]
fn an_order_is_read_from_json_and_refuses_unknown_keys() {
    let text = r#"{"faults": [
        {"effect": {"respond": {"status": 429, "retry_after_seconds": 2}}, "times": 3, "person": "ann"},
        {"effect": {"delay_reply": {"millis": 50}}, "chance": {"probability": 0.5, "seed": 1}},
        {"effect": "reset_after_applying", "after_millis": 10, "for_millis": 20}
    ], "outage": "unavailable", "credentials": "refused"}"#;
    let order: FaultOrder = serde_json::from_str(text).unwrap();
    assert_eq!(order.faults.len(), 3);
    assert_eq!(order.faults[1].effect, Effect::DelayReply { millis: 50 });
    let mut plan = FaultPlan::default();
    plan.obey(order, NOW);
    assert_eq!(plan.switches(), (Outage::Unavailable, Credentials::Refused));
    assert!(serde_json::from_str::<FaultOrder>(r#"{"fautls": []}"#).is_err());
}
