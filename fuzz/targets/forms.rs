#![no_main]

use wire::{Dialect, Encoding, Form, Losses, Quirks, Work};

// Every way of a form: a request that reads is written in each form that reaches it and reads there, unless it was
// refused; a prompt becomes a chat in each dialect; an answer that turns into another form is read there, and what was
// used is the same.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((form, method, request, answer)) = tollgate_fuzz::exchange(data) else { return };
    let _ = form.usage(answer);
    let _ = form.asked_usage(request);
    let _ = form.ended_later(answer);
    let _ = form.dialect().decode_fault(500, None, answer);
    let _ = form.renamed(&bytes::Bytes::copy_from_slice(request), "m");
    let Ok(Some(work)) = form.read(request, method) else { return };
    if let Some(prompt) = work.prompt() {
        let quirks = Quirks::default();
        let encoding = Encoding { model: "m", quirks: &quirks, output_tokens_max: None };
        for dialect in Dialect::ALL {
            prompt.encode(dialect, &encoding, &mut Losses::default());
        }
        return;
    }
    for to in Form::ALL.into_iter().filter(|to| form.reaches(*to)) {
        written(&work, to);
        // The caller's form is `form`, and the provider's is `to`.
        if let Ok(answered) = form.turn(to, &work, answer, "id") {
            let again = form.turn(form, &work, &answered.body, "id").expect("what was turned is in the form");
            let whole = form.turn(form, &work, &again.body, "id").expect("and stays in it");
            assert_eq!(again.body, whole.body);
        }
    }
});

fn written(work: &Work, to: Form) {
    let mut losses = Losses::default();
    let (body, method) =
        to.write(work, "m", &mut losses).expect("a form that is reached writes what it gets");
    let vital = losses.iter().any(|loss| loss.kind == wire::LossKind::Vital);
    let again = to.read(&body, method);
    assert!(vital || matches!(again, Ok(Some(_))), "{}", String::from_utf8_lossy(&body));
}
