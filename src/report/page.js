document.querySelectorAll(".command button").forEach((button) => {
  if (!navigator.clipboard) return;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
});

const players = [...document.querySelectorAll("audio")];
players.forEach((player) => {
  const picture = player.parentElement.querySelector(".picture");
  const follow = () => {
    picture.style.setProperty("--played", `${100 * player.currentTime / (player.duration || 1)}%`);
    if (!player.paused) requestAnimationFrame(follow);
  };
  player.addEventListener("play", () => {
    players.filter((other) => other !== player).forEach((other) => other.pause());
    picture.classList.add("playing");
    follow();
  });
  player.addEventListener("seeked", follow);
});
