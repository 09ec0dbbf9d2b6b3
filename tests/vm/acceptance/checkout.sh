#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# checkout: over HTTPS, over SSH with a key, with LFS; a folder of another user.
set -euxo pipefail
git init -q checked
cd checked
git remote add origin https://files.example.com/project.git
git fetch -q --no-tags --prune origin '+refs/heads/*:refs/remotes/origin/*'
git checkout -q --progress --force -B main refs/remotes/origin/main
sudo chown -R root .
git log --oneline | grep -q one
cd ..
ssh-keygen -F github.com -f /etc/ssh/ssh_known_hosts >/dev/null
ssh-keygen -q -t ed25519 -N '' -f "$RUNNER_TEMP/host"
ssh-keygen -q -t ed25519 -N '' -f "$RUNNER_TEMP/key"
sudo mkdir -p /run/sshd
sudo /usr/sbin/sshd -f /dev/null -p 2222 -h "$RUNNER_TEMP/host" -o UsePAM=yes -o StrictModes=no \
  -o PidFile=/run/sshd-outside.pid -o AuthorizedKeysFile="$RUNNER_TEMP/key.pub"
echo "[127.0.0.1]:2222 $(cut -d ' ' -f 1,2 "$RUNNER_TEMP/host.pub")" >"$RUNNER_TEMP/known"
eval "$(ssh-agent)"
ssh-add -q "$RUNNER_TEMP/key"
export GIT_SSH_COMMAND="ssh -o StrictHostKeyChecking=yes -o CheckHostIP=no -o UserKnownHostsFile=$RUNNER_TEMP/known"
git config --global user.name n
git config --global user.email n@example.com
git init -q --bare "$RUNNER_TEMP/bare.git" -b main
git clone -q "ssh://runner@127.0.0.1:2222$RUNNER_TEMP/bare.git" by-ssh
cd by-ssh
git lfs install --local
git lfs track '*.bin'
head -c 100000 /dev/urandom >large.bin
git add .
git commit -q -m large
git config lfs.url "file://$RUNNER_TEMP/bare.git" # an LFS server speaks HTTPS, or git-lfs-transfer
git push -q origin HEAD:main
git -c lfs.url="file://$RUNNER_TEMP/bare.git" clone -q -b main "ssh://runner@127.0.0.1:2222$RUNNER_TEMP/bare.git" ../again
cmp large.bin ../again/large.bin
ssh-agent -k
sudo kill "$(cat /run/sshd-outside.pid)"
